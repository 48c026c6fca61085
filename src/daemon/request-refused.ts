import type { ApiError } from '../api/request.ts';

/** A refusal that the client is told, with this HTTP status. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';
  readonly status: 400 | 403 | 404 | 409 | 413 | 422 | 503;
  readonly answer: ApiError;

  constructor(status: RequestRefused['status'], answer: ApiError) {
    super(answer.message);
    this.status = status;
    this.answer = answer;
  }
}
