/* socket, connect and send by io_uring(7), without a single socket call. MORE: "sqpoll" has a kernel thread submit them. */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sender.h"

enum { ENTRIES = 4, POLL_IDLE_MS = 100 };

struct ring {
  int fd;
  unsigned *sq_tail, *sq_mask, *sq_array, *sq_flags, *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
};

static char *map(int fd, size_t bytes, off_t offset) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  must(at == MAP_FAILED ? -1 : 0, "mmap");
  return at;
}

static struct ring open_ring(int polled) {
  struct io_uring_params p = {.flags = polled ? IORING_SETUP_SQPOLL : 0, .sq_thread_idle = POLL_IDLE_MS};
  struct ring ring = {.fd = may_lack(syscall(SYS_io_uring_setup, ENTRIES, &p), "io_uring_setup")};
  char *sq = map(ring.fd, p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
  char *cq = map(ring.fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
  ring.sqes = (void *)map(ring.fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
  ring.sq_tail = (void *)(sq + p.sq_off.tail);
  ring.sq_mask = (void *)(sq + p.sq_off.ring_mask);
  ring.sq_array = (void *)(sq + p.sq_off.array);
  ring.sq_flags = (void *)(sq + p.sq_off.flags);
  ring.cq_head = (void *)(cq + p.cq_off.head);
  ring.cq_tail = (void *)(cq + p.cq_off.tail);
  ring.cq_mask = (void *)(cq + p.cq_off.ring_mask);
  ring.cqes = (void *)(cq + p.cq_off.cqes);
  return ring;
}

static int do_one(struct ring *ring, int polled, struct io_uring_sqe sqe, const char *what) {
  unsigned tail = *ring->sq_tail;
  unsigned at = tail & *ring->sq_mask;
  ring->sqes[at] = sqe;
  ring->sq_array[at] = at;
  __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_SEQ_CST);
  unsigned flags = IORING_ENTER_GETEVENTS;
  if (polled && (__atomic_load_n(ring->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)) flags |= IORING_ENTER_SQ_WAKEUP;
  must(syscall(SYS_io_uring_enter, ring->fd, polled ? 0 : 1, 1, flags, NULL, 0), "io_uring_enter");
  unsigned head = *ring->cq_head;
  while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) usleep(1000);
  int result = ring->cqes[head & *ring->cq_mask].res;
  __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
  if (result >= 0) return result;
  errno = result == -EINVAL ? ENOSYS : -result;
  return may_lack(-1, what);
}

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  int polled = argc > 4 && strcmp(argv[4], "sqpoll") == 0;
  struct ring ring = open_ring(polled);
  struct io_uring_sqe make = {.opcode = IORING_OP_SOCKET, .fd = target.family, .off = SOCK_STREAM};
  int fd = do_one(&ring, polled, make, "IORING_OP_SOCKET");
  struct io_uring_sqe connect_it = {
      .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (unsigned long)&target.address, .off = target.length};
  do_one(&ring, polled, connect_it, "IORING_OP_CONNECT");
  for (int i = 0; i < target.count; i++) {
    struct io_uring_sqe send_it = {
        .opcode = IORING_OP_SEND, .fd = fd, .addr = (unsigned long)payload, .len = sizeof payload};
    do_one(&ring, polled, send_it, "IORING_OP_SEND");
  }
  return leave(argc, argv);
}
