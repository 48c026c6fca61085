/* Takes a socket by SCM_RIGHTS from descriptor 0 and sends COUNT datagrams on it. MORE: "end" waits for the giver's end. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  if (argc < 5) return 2;
  int fd = -1;
  char control[CMSG_SPACE(sizeof fd)], byte;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  must(recvmsg(0, &message, 0), "recvmsg");
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  /* Its end of the pair is closed when it ends. */
  if (strcmp(argv[4], "end") == 0) must(recv(0, &byte, 1, 0), "recv");
  for (int i = 0; i < target.count; i++) send_to(fd, &target);
  return leave(argc, argv);
}
