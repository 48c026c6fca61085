/**
 * The entry. What Node opens to others is shut before anything else is loaded: until then is a window, and loading the program
 * would make it ten times as long.
 */
import { leaveSignalsToUs, refuseInspector } from './inspector.ts';

leaveSignalsToUs();
refuseInspector();
await import('./command-line.ts');
