/* The other end of all links: answers, and says what arrived by which device.
 *   far-end HOST4 HOST6 PORT...
 * Prints "ready", then a line for each packet to HOST4 or HOST6 as it came from the link, before any hook:
 *   P ARRIVED_US DEVICE PROTOCOL SOURCE SOURCE_PORT PORT ID
 * Protocols are those of IP; ID is what a datagram says, or "syn", "-". With the end of standard input it says how many it has missed, and
 * ends: "missed N". Who writes "e ..." is answered with the same. */
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "actor.h"

#define MAX_EVENTS 64
#define SYN 0x02
#define ACK 0x10

enum kind { PACKETS, LISTENER, STREAM, DATAGRAMS, INPUT };

static int poller;

static void watch(int fd, enum kind kind) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) exit(2);
}

static void must(int result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(2);
}

static int packets_to(const char *host4, const char *host6) {
  uint32_t v4;
  struct in6_addr v6;
  inet_pton(AF_INET, host4, &v4);
  inet_pton(AF_INET6, host6, &v6);
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 30),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(v4), 3, 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IPV6, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 50),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(v6.s6_addr32[3]), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 256),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  int size = 8 << 20, fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
  must(fd, "packet socket");
  must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size), "SO_RCVBUFFORCE");
  must(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), "SO_ATTACH_FILTER");
  struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  must(bind(fd, (struct sockaddr *)&all, sizeof all), "bind");
  return fd;
}

static void say_packet(int fd) {
  unsigned char frame[257] = {0};
  struct sockaddr_ll from;
  socklen_t size = sizeof from;
  ssize_t length;
  while ((length = recvfrom(fd, frame, sizeof frame - 1, 0, (struct sockaddr *)&from, &size)) > 0) {
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    char device[IF_NAMESIZE] = "?", source[INET6_ADDRSTRLEN] = "?", id[32] = "-";
    if_indextoname(from.sll_ifindex, device);
    int is_v6 = frame[12] == 0x86;
    unsigned char *transport = frame + 14 + (is_v6 ? 40 : (frame[14] & 15) * 4);
    int protocol = is_v6 ? frame[20] : frame[23];
    inet_ntop(is_v6 ? AF_INET6 : AF_INET, frame + (is_v6 ? 22 : 26), source, sizeof source);
    if (protocol == IPPROTO_TCP && (transport[13] & (SYN | ACK)) == SYN) strcpy(id, "syn");
    if (protocol == IPPROTO_UDP) sscanf((char *)transport + 8, "%*c %31[0-9.a-z]", id);
    int has_ports = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
    printf("P %lld %s %d %s %d %d %s\n", now_us(), device, protocol, source, has_ports ? transport[0] << 8 | transport[1] : 0,
           has_ports ? transport[2] << 8 | transport[3] : 0, id);
    memset(frame, 0, sizeof frame);
    size = sizeof from;
  }
}

static int bound(const char *host, int type, int port) {
  struct place at = place_of(host, 0, port);
  int fd = socket(at.family, type | SOCK_NONBLOCK, 0);
  must(fd, "socket");
  must(bind(fd, (struct sockaddr *)&at.address, at.length), "bind");
  return fd;
}

static void answer(int fd, enum kind kind) {
  char text[256];
  struct sockaddr_storage from;
  socklen_t size = sizeof from;
  ssize_t length;
  while ((length = recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&from, &size)) > 0) {
    if (text[0] == 'e') sendto(fd, text, length, MSG_NOSIGNAL, kind == DATAGRAMS ? (struct sockaddr *)&from : NULL, kind == DATAGRAMS ? size : 0);
    size = sizeof from;
  }
  if (kind == STREAM && (length == 0 || errno != EAGAIN)) close(fd);
}

int main(int argc, char **argv) {
  struct rlimit many = {.rlim_cur = 8192, .rlim_max = 8192};
  setrlimit(RLIMIT_NOFILE, &many);
  poller = epoll_create1(0);
  int packets = packets_to(argv[1], argv[2]);
  watch(packets, PACKETS);
  watch(0, INPUT);
  for (int i = 3; i < argc; i += 1) {
    for (int host = 1; host <= 2; host += 1) {
      int listener = bound(argv[host], SOCK_STREAM, atoi(argv[i]));
      must(listen(listener, 128), "listen");
      watch(listener, LISTENER);
      watch(bound(argv[host], SOCK_DGRAM, atoi(argv[i])), DATAGRAMS);
    }
  }
  puts("ready");
  for (;;) {
    fflush(stdout);
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(poller, events, MAX_EVENTS, -1);
    for (int i = 0; i < count; i += 1) {
      int fd = (uint32_t)events[i].data.u64;
      enum kind kind = events[i].data.u64 >> 32;
      char ignored[64];
      if (kind == PACKETS) say_packet(fd);
      else if (kind == LISTENER) {
        int stream = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
        if (stream >= 0) watch(stream, STREAM);
      } else if (kind == INPUT) {
        if (read(0, ignored, sizeof ignored) > 0) continue;
        say_packet(packets);
        struct tpacket_stats stats = {0};
        socklen_t size = sizeof stats;
        getsockopt(packets, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
        printf("missed %u\n", stats.tp_drops);
        return 0;
      } else answer(fd, kind);
    }
  }
}
