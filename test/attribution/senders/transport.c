/* Another transport protocol, MORE: udplite, sctp or dccp. */
#include "sender.h"

#ifndef SOCK_DCCP
#define SOCK_DCCP 6
#endif

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  const char *name = argc > 4 ? argv[4] : "";
  if (strcmp(name, "udplite") == 0) send_on(connected(SOCK_DGRAM, IPPROTO_UDPLITE, &target), target.count);
  else if (strcmp(name, "sctp") == 0) send_on(connected(SOCK_STREAM, IPPROTO_SCTP, &target), target.count);
  else if (strcmp(name, "dccp") == 0) send_on(connected(SOCK_DCCP, IPPROTO_DCCP, &target), target.count);
  else return 2;
  return leave(argc, argv);
}
