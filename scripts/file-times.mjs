// A reporter of vitest: how long each test file took, what it prepares and removes included, and how it ended. A line each,
// "MILLISECONDS STATE PATH", is added to the file that POINTSMAN_FILE_TIMES names.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';

export default class FileTimes {
  onTestModuleEnd(module) {
    const path = process.env.POINTSMAN_FILE_TIMES;
    if (path === undefined) return;
    const { collectDuration, duration, environmentSetupDuration, prepareDuration, setupDuration } = module.diagnostic();
    const tookMs = collectDuration + duration + environmentSetupDuration + prepareDuration + setupDuration;
    appendFileSync(path, `${Math.round(tookMs)} ${module.state()} ${relative(process.cwd(), module.moduleId)}\n`);
  }
}
