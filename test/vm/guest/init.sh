#!/bin/busybox sh
# First process of the guest: the host's root, read-only, under a tmpfs overlay, and the mounts a booted system has.
# Where it fails, the kernel panics because its first process ended, and the host says so.
set -e
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do $b insmod "$module"; done

nine() { $b mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2"; }

nine root /lower ro,cache=loose
$b mount -t tmpfs tmpfs /upper
$b mkdir /upper/files /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root
for dir in proc sys dev; do $b mount --move "/$dir" "/root/$dir"; done

$b mount -t tmpfs tmpfs /root/run
$b mkdir -p /root/run/vm /root/dev/shm /root/dev/pts "/root/lib/modules/$($b uname -r)"
$b mount -t tmpfs tmpfs /root/dev/shm
$b mount -t devpts devpts /root/dev/pts
$b mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
# Written through at once, so that the host sees what was said before a crash.
nine run /root/run/vm rw,cache=none
nine modules "/root/lib/modules/$($b uname -r)" ro,cache=loose
exec $b switch_root /root /bin/sh /run/vm/main.sh
