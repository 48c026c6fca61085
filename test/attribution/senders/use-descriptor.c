/* Sends COUNT datagrams on the socket that it was given as descriptor 0. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  for (int i = 0; i < target.count; i++) send_to(0, &target);
  return leave(argc, argv);
}
