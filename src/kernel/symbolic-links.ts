/** Links that a path may lead by; one more is ELOOP. MAXSYMLINKS of linux/namei.h, path_resolution(7). */
export const MAX_LINKS = 40;
