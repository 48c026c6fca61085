/* One connection, COUNT payloads, and gone. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  send_on(connected(SOCK_STREAM, 0, &target), target.count);
  return leave(argc, argv);
}
