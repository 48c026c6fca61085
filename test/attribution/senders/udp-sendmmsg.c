/* COUNT datagrams, at most 1,024, in one system call. */
#include "sender.h"

enum { BATCH = 1024 };

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  int fd = connected(SOCK_DGRAM, 0, &target);
  static struct mmsghdr messages[BATCH];
  struct iovec part = {.iov_base = (void *)payload, .iov_len = sizeof payload};
  for (int i = 0; i < BATCH; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
  if (must(sendmmsg(fd, messages, target.count, 0), "sendmmsg") != target.count) return 1;
  return leave(argc, argv);
}
