/** Programs that send once and end, told by the kernel alone: a short form of the leak test, on this kernel. */
import { describeLeaks } from '../../attribution/describe-leaks.ts';

/** The processor is emulated. */
const PATIENCE = 8;

describeLeaks(PATIENCE, ['all']);
