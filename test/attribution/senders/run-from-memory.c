/* Copies a program, MORE, into memory and runs it from there, memfd_create(2) and fexecve(3). */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "sender.h"

extern char **environ;

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  int file = must(open(argv[4], O_RDONLY), "open");
  int memory = must(memfd_create("program", MFD_CLOEXEC), "memfd_create");
  while (must(sendfile(memory, file, NULL, 1 << 20), "sendfile") > 0);
  char *args[] = {argv[4], argv[1], argv[2], argv[3], stay_of(argc, argv), NULL};
  must(fexecve(memory, args, environ), "fexecve");
  return 1;
}
