/** What an answer about connections says beside what policies make of them. All fields are plain JSON. */
export interface PanicNote {
  /** `pointsman panic closed` is in force: nothing of what the answer says holds until it ends. */
  readonly panicClosed?: true;
}
