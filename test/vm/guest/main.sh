#!/bin/sh
# First process of the guest after init.sh, on the host's root: runs /run/vm/command.sh and switches the machine off.
ip link set lo up
# What udev would make: bash's process substitution is a path below it.
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
sh /run/vm/command.sh </dev/null >/run/vm/stdout 2>/run/vm/stderr
echo $? >/run/vm/status.new
# Whole or not there: the host takes it as the sign that the command came to its end.
mv /run/vm/status.new /run/vm/status
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
