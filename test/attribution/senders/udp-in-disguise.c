/* COUNT datagrams under a borrowed name: MORE, as command name and as the whole command line. */
#include <sys/prctl.h>

#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  if (argc < 5) return 2;
  char name[64];
  snprintf(name, sizeof name, "%s", argv[4]);
  must(prctl(PR_SET_NAME, name), "prctl");
  int stays = stay_of(argc, argv) != NULL;
  char *end = argv[argc - 1] + strlen(argv[argc - 1]);
  memset(argv[0], 0, end - argv[0]);
  strncpy(argv[0], name, end - argv[0]);
  send_on(connected(SOCK_DGRAM, 0, &target), target.count);
  while (stays && read(STAY, name, 1) > 0);
  return 0;
}
