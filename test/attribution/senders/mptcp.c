/* Multipath TCP: the program's socket sends nothing itself, the kernel makes a TCP socket for each path. */
#include "sender.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  send_on(connected(SOCK_STREAM, IPPROTO_MPTCP, &target), target.count);
  return leave(argc, argv);
}
