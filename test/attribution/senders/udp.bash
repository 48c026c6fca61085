#!/bin/bash
# ADDRESS PORT COUNT: each datagram on a socket of its own, made by the shell itself.
for ((i = 0; i < $3; i++)); do
  echo datagram >"/dev/udp/$1/$2"
done
