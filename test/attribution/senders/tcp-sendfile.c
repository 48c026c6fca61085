/* COUNT payloads in one file, sent by the kernel. */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  int file = must(memfd_create("payload", 0), "memfd_create");
  for (int i = 0; i < target.count; i++) must(write(file, payload, sizeof payload), "write");
  int fd = connected(SOCK_STREAM, 0, &target);
  off_t offset = 0;
  off_t end = (off_t)target.count * PAYLOAD_BYTES;
  while (offset < end) must(sendfile(fd, file, &offset, end - offset), "sendfile");
  return leave(argc, argv);
}
