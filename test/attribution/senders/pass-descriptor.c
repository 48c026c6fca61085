/* Makes a UDP socket and passes it to another program by SCM_RIGHTS, unix(7), that it starts without it. MORE: whether it
 * waits ("wait") or ends ("end") before the other sends, then that program, which has the other end as descriptor 0. */
#include <sys/wait.h>

#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  if (argc < 6) return 2;
  int pair[2];
  must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
  pid_t child = must(fork(), "fork");
  if (child == 0) {
    must(dup2(pair[1], 0), "dup2");
    char *args[] = {argv[5], argv[1], argv[2], argv[3], argv[4], stay_of(argc, argv), NULL};
    must(execv(argv[5], args), "execv");
  }
  int fd = must(socket(target.family, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  char control[CMSG_SPACE(sizeof fd)] = {0}, byte = 0;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  must(sendmsg(pair[0], &message, 0), "sendmsg");
  if (strcmp(argv[4], "end") == 0) return 0;
  int status = 0;
  must(waitpid(child, &status, 0), "waitpid");
  return status != 0;
}
