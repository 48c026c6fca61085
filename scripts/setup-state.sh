# What pointsman needs, and whether it is there. Read by ./pointsman and by the other scripts, which set $root (the
# checkout). Nothing here changes anything.

# For each purpose: Debian package = program or file that shows that it is installed.
needs_run='nftables=nft iptables=iptables iproute2=ip netbase=/etc/protocols'
needs_lab='curl=curl bind9-dnsutils=dig netcat-openbsd=nc.openbsd openssh-client=ssh python3=python3 iputils-ping=ping wget=wget perl-base=perl util-linux=nsenter'
needs_test='passt=pasta slirp4netns=slirp4netns procps=pgrep conntrack=conntrack gcc=gcc libc6-dev=/usr/include/stdio.h ufw=ufw wireguard-tools=wg-quick wireguard-go=wireguard-go systemd=busctl network-manager=NetworkManager modemmanager=ModemManager dbus=dbus-daemon python3-firewall=/usr/lib/python3/dist-packages/firewall python3-nftables=/usr/lib/python3/dist-packages/nftables'
needs_bench='gcc=gcc libc6-dev=/usr/include/stdio.h libnetfilter-queue-dev=/usr/include/libnetfilter_queue/libnetfilter_queue.h pkg-config=pkg-config'
needs_vm='qemu-system-x86=qemu-system-x86_64 busybox-static=/usr/share/doc/busybox-static cpio=cpio kmod=modprobe'

node_minimum_major=20
node_minimum_minor=19

# Daemons' programs stand where a person's PATH often does not look.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# missing_packages PURPOSE...: prints the packages that are not installed.
missing_packages() {
  for purpose in "$@"; do
    eval "needs=\${needs_$purpose?unknown purpose}"
    for need in $needs; do
      case ${need#*=} in
        /*) [ -e "${need#*=}" ] || printf '%s ' "${need%%=*}" ;;
        *) command -v "${need#*=}" >/dev/null 2>&1 || printf '%s ' "${need%%=*}" ;;
      esac
    done
  done
}

# Succeeds where node is new enough; otherwise says what is wrong.
check_node() {
  if ! version=$(node --version 2>/dev/null); then
    echo "pointsman needs Node.js $node_minimum_major.$node_minimum_minor or newer, and finds no node in PATH." >&2
    [ -z "${SUDO_USER:-}" ] || echo "(sudo has a PATH of its own: try  sudo env \"PATH=\$PATH\" ...)" >&2
    echo "Get it from https://nodejs.org/ (Debian 12's own nodejs is too old)." >&2
    return 1
  fi
  number=${version#v}
  major=${number%%.*}
  rest=${number#*.}
  minor=${rest%%.*}
  [ "$major" -gt "$node_minimum_major" ] && return 0
  [ "$major" -eq "$node_minimum_major" ] && [ "$minor" -ge "$node_minimum_minor" ] && return 0
  echo "pointsman needs Node.js $node_minimum_major.$node_minimum_minor or newer; $(command -v node) is $version." >&2
  return 1
}

# After check_node: Node's own switch against its inspector, where it has one (22.14, 23.7 and newer).
sigusr1_switch() {
  { [ "$major" -eq 22 ] && [ "$minor" -lt 14 ]; } || { [ "$major" -eq 23 ] && [ "$minor" -lt 7 ]; } ||
    [ "$major" -lt 22 ] || printf '%s' --disable-sigusr1
}

# npm writes its own copy of the lock file last.
modules_are_current() {
  [ -e "$root/node_modules/.package-lock.json" ] &&
    [ -z "$(find "$root/package-lock.json" -newer "$root/node_modules/.package-lock.json")" ]
}

# Directories count as well: a removed source file changes nothing else.
build_is_current() {
  [ -e "$root/dist/.built" ] && [ -e "$root/dist/main/pointsman.js" ] &&
    [ -z "$(find "$root/src" "$root/tsconfig.base.json" "$root/package-lock.json" \
      \( -type d -o -name '*.ts' ! -name '*.test.ts' -o -name '*.json' \) \
      -newer "$root/dist/.built" -print -quit)" ]
}
