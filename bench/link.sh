#!/bin/sh
# Runs a command by two processes in two network namespaces, which a link of limited rate connects, as root:
#   bench/link.sh MBIT COMMAND...      (needs ip and tc of Debian's iproute2, and mpirun)
# mpirun starts the second process in its namespace instead of over ssh. What is made here is removed at the end.
set -eu
rate=$1
shift
one=gpt-one-$$ two=gpt-two-$$ agent=$(mktemp)
clean() { ip netns del "$one" 2>/dev/null || :; ip netns del "$two" 2>/dev/null || :; rm -f "$agent"; }
trap clean EXIT
trap 'exit 1' INT TERM

ip netns add "$one"
ip netns add "$two"
ip link add name "gpt1-$$" netns "$one" type veth peer name "gpt2-$$" netns "$two"
number=1
for space in "$one" "$two"; do
  link="gpt$number-$$"
  ip -n "$space" link set lo up
  ip -n "$space" addr add "10.77.0.$number/24" dev "$link"
  ip -n "$space" link set "$link" up
  # a short queue: acknowledgements wait in it behind the data of the other direction
  ip netns exec "$space" tc qdisc add dev "$link" root handle 1: htb default 1
  ip netns exec "$space" tc class add dev "$link" parent 1: classid 1:1 htb rate "${rate}mbit" burst 256k quantum 1514
  ip netns exec "$space" tc qdisc add dev "$link" parent 1:1 pfifo limit 30
  number=2
done

printf '#!/bin/sh\nshift\nexec ip netns exec %s sh -c "$*"\n' "$two" > "$agent"
chmod +x "$agent"
ip netns exec "$one" mpirun --allow-run-as-root --bind-to none --mca plm_rsh_agent "$agent" \
  --mca btl self,tcp --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
  --host 10.77.0.1,10.77.0.2 -n 2 -x LUA_PATH -x LUA_CPATH "$@"
