/*
 * accept-all QUEUE: the least that a queue's program can do, in C on libnetfilter_queue: accepts every packet unseen.
 * What a verdict loop is measured against.
 */
#include "load.h"
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>

#define COPY_BYTES 128

static int accept_packet(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *packet, void *unused) {
  (void)message;
  (void)unused;
  struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(packet);
  return header == NULL ? -1 : nfq_set_verdict(queue, ntohl(header->packet_id), NF_ACCEPT, 0, NULL);
}

int main(int count, char **words) {
  char buffer[65536];
  if (count != 2) {
    fputs("usage: accept-all QUEUE\n", stderr);
    return 2;
  }
  struct nfq_handle *handle = nfq_open();
  if (handle == NULL) fail("nfq_open");
  struct nfq_q_handle *queue = nfq_create_queue(handle, (uint16_t)number(words[1], 0, 65535), accept_packet, NULL);
  if (queue == NULL) fail("nfq_create_queue");
  if (nfq_set_mode(queue, NFQNL_COPY_PACKET, COPY_BYTES) < 0) fail("nfq_set_mode");
  puts("listening");
  fflush(stdout);
  for (;;) {
    ssize_t received = recv(nfq_fd(handle), buffer, sizeof buffer, 0);
    if (received >= 0) nfq_handle_packet(handle, buffer, (int)received);
  }
}
