#!/bin/bash
# bench.sh all [REPS] | ref | report | PEER WORKLOAD [REP]
#   PEER: the name of a file in peers/, or all.   WORKLOAD: W1a W1b W2 W3 W4 W5 W6 fsync, or all;
#   Aplain Anames Anested Aincluded Aowned: a letter to one of the lists that "aliases" makes.
# One line per run goes to results/runs.tsv; "report" makes medians of them.
BENCH=$(cd "$(dirname "$0")" && pwd); . "$BENCH/lib/common.sh"
mkdir -p "$RESULTS" "$BENCH/run"; ulimit -n 20000
PEERS=${PEERS:-posthouse postfix postfix-tuned opensmtpd opensmtpd-tuned opensmtpd-sync exim haraka haraka-tuned haraka-sync}
WORKLOADS=${WORKLOADS:-W1a W1b W2 W3 W4 W5 W6}
SINKOUT=/dev/shm/mtabench.sink; RCPT=user@sink.example FROM=sender@bench.example
unpack() { :; }

cleanup() { peer_stop 2>/dev/null; [ -n "$PSSPID" ] && kill "$PSSPID" 2>/dev/null; kill_cg mta; kill_cg gen; kill_cg sink; ns_down; rm -f "$SINKOUT"*; }
trap 'cleanup; exit 130' INT TERM

start_sink() { # smtp-sink | csink
  rm -f "$SINKOUT"
  if [ "$1" = csink ]; then in_cg sink "$BUILD/csink" 127.0.0.1 "$SINK_PORT" "$SINKOUT" &
  else in_cg sink "$SMTPSINK" -c -m 2000 "127.0.0.1:$SINK_PORT" 2000 > "$SINKOUT" 2>/dev/null & fi
  wait_port "$SINK_PORT"; }
settle() { # until the MTA is idle (cleaning up after the last delivery), at most 10 s
  local i a b; for i in $(seq 33); do a=($(cg_cpu mta)); sleep 0.3; b=($(cg_cpu mta)); [ $(( b[0]-a[0] )) -lt 9000 ] && return; done; }
source_() { in_cg gen timeout "${LIMIT:-180}" "$SMTPSRC" "$@" 2>>"$BENCH/run/errors"; }
emit() { printf '%s\n' "$*" | tr ' ' '\t' >> "$RESULTS/runs.tsv"; echo "$*"; }

# measure NAME N WAITMODE WAITFILE WAITCOUNT CMD...: run CMD (the generator),
# then wait until the count is there; emits one result line
measure() {
  local n=$1 mode=$2 file=$3 want=$4; shift 4
  quiet_wait
  "$BUILD/psspeak" 1000 "$CG/mta" > "$BENCH/run/pss" & PSSPID=$!
  local c0=($(cg_cpu mta)) g0=($(cg_cpu gen)) k0=($(cg_cpu sink)) d0=($(disk_stat)) t0=$(now) st=ok
  "$@" || st=gen_failed
  local t1=$(now) w; w=($("$BUILD/waitcount" "$mode" "$file" "$want" "${LIMIT:-180}")) || st=timeout_${w[1]}
  local t2=${w[0]}; [ "$t2" -lt "$t1" ] && t2=$t1
  settle
  local c1=($(cg_cpu mta)) g1=($(cg_cpu gen)) k1=($(cg_cpu sink)) d1=($(disk_stat))
  kill "$PSSPID" 2>/dev/null; wait "$PSSPID" 2>/dev/null; PSSPID=; local p=($(cat "$BENCH/run/pss"))
  emit $(perl -e '($pe,$w,$r,$n,$t0,$t1,$t2,$u,$s,$g,$k,$pk,$np,$fl,$wr,$sec,$st)=@ARGV;
    printf "%s %s %s %d %.1f %.1f %.3f %.3f %.2f %.2f %.1f %d %.2f %.2f %.1f %s", $pe,$w,$r,$n, $n/(($t1-$t0)/1e9), $n/(($t2-$t0)/1e9),
      $u/1e3/$n, $s/1e3/$n, $g/1e6, $k/1e6, $pk/1024, $np, $fl/$n, $wr/$n, $sec/2/$n, $st' \
    "$PEER" "$W" "$REP" "$n" "$t0" "$t1" "$t2" $((c1[1]-c0[1])) $((c1[2]-c0[2])) $((g1[0]-g0[0])) $((k1[0]-k0[0])) "${p[0]}" "${p[2]}" \
    $((d1[2]-d0[2])) $((d1[0]-d0[0])) $((d1[1]-d0[1])) "$st")
}
warm() { # warm M RCPT MODE FILE
  source_ -s ${PEER_SESS:-20} -m "$1" -l 4096 -f $FROM -t "$2" 127.0.0.1:$PEER_PORT; "$BUILD/waitcount" "$3" "$4" "$1" 30 >/dev/null; settle; }

local_role() { # MESSAGES RECIPIENTS: the time and the memory of local delivery, and whether the expansion was exact
  local got=$(perl -e 'open F,$ARGV[0];read F,$b,16;print((unpack "Q2",$b)[1])' "$SINKOUT") p hwm=0 k
  for p in $(grep -o '/local\[[0-9]*' "$RUN/log/syslog" | sort -u | tr -dc '0-9\n'); do
    k=$(awk '/^VmHWM/{print $2}' "/proc/$p/status" 2>/dev/null); [ "${k:-0}" -gt $hwm ] && hwm=$k; done
  echo "$PEER $W $REP local: $(perl -ne '/\/local\[.*relay=local, delay=([0-9.]+),.*sent \(forwarded/ and $n++, $t+=$1;
    END{printf "%d messages, expanded and queued after %.3f s",$n,$n?$t/$n:0}' "$RUN/log/syslog"), VmHWM $((hwm/1024)) MB, recipients $got of $2" | tee -a "$RESULTS/aliases.txt"; }

workload() { # PEER W REP
  PEER=$1 W=$2 REP=$3; PEER_TUNED= PEER_SESS= PEER_SPOOL= PEER_MSGS=; . "$BENCH/lib/common.sh"; . "$BENCH/peers/$PEER.sh"
  peer_supports "$W" || return 0
  case $PEER-$W in *-tuned-W[45]|*-sync-W[45]) return 0;; esac   # the same as untuned
  cg_init; kill_cg mta; kill_cg sink; kill_cg gen
  local mode=relay; case $W in W3) mode=local;; W4) mode=idle;; A*) mode=aliases;; esac
  ns_up && { [ $mode != aliases ] || in_ns "$BENCH/aliases" /etc/bench-aliases; } && peer_config $mode || { emit "$PEER $W $REP setup_failed"; cleanup; return; }
  peer_start || { kill_cg mta; peer_start; } || { emit "$PEER $W $REP start_failed"; cleanup; return; }
  local m
  case $W in
  W1a|W1b) local sm=sink; [ "$SINK" = csink ] && sm=bin0; m=${MSGS:-${PEER_MSGS:-5000}}
    start_sink ${SINK:-smtp-sink}; warm 200 $RCPT $sm "$SINKOUT"
    local d=; [ $W = W1b ] && d=-d
    measure $m $sm "$SINKOUT" $((m+200)) source_ -s ${PEER_SESS:-20} $d -m $m -l 4096 -f $FROM -t $RCPT 127.0.0.1:$PEER_PORT;;
  W2) m=200; start_sink smtp-sink; warm 20 $RCPT sink "$SINKOUT"
    measure $m sink "$SINKOUT" $((m+20)) source_ -s 5 -m $m -l 1048576 -f $FROM -t $RCPT 127.0.0.1:$PEER_PORT;;
  W3) m=2000; [ -n "$PEER_MSGS" ] && m=1000
    warm 20 benchuser@local.bench.example mbox "$RUN/mail/benchuser"
    measure $m mbox "$RUN/mail/benchuser" $((m+20)) source_ -s ${PEER_SESS:-20} -m $m -l 4096 -f $FROM -t benchuser@local.bench.example 127.0.0.1:$PEER_PORT;;
  W4) quiet_wait; local b=($("$BUILD/psspeak" 0 "$CG/mta")) c0=($(cg_cpu mta))
    rm -f "$BENCH/run/idle"; in_cg gen "$BUILD/idle" 127.0.0.1 $PEER_PORT ${IDLE:-2000} "$BENCH/run/idle" & local i
    for i in $(seq 180); do [ -s "$BENCH/run/idle" ] && break; sleep 1; done
    sleep 1; local a=($("$BUILD/psspeak" 0 "$CG/mta")) c1=($(cg_cpu mta)) r=($(cat "$BENCH/run/idle"))
    emit $(perl -e '($pe,$r,$ok,$bad,$sec,$b,$a,$np,$cpu,@l)=@ARGV; printf "%s W4 %s %d open=%d refused=%d secs=%s base_MB=%.1f full_MB=%.1f kB_per_session=%.1f procs=%d cpu_ms_per_session=%.2f last=%s",
      $pe,$r,$ok,$ok,$bad,$sec,$b/1024,$a/1024,$ok?($a-$b)/$ok:0,$np,$ok?$cpu/1e3/$ok:0,join("_",@l)' \
      $PEER $REP "${r[0]:-0}" "${r[1]:-0}" "${r[2]:-0}" "${b[0]}" "${a[0]}" "${a[2]}" $((c1[0]-c0[0])) "${r[@]:3}");;
  W5) m=500; start_sink smtp-sink; warm 20 $RCPT sink "$SINKOUT"
    printf 'Subject: bench\n\n%s\n' "$(head -c 3000 /dev/zero | tr '\0' x | fold -w 70)" > "$BENCH/run/msg"
    measure $m sink "$SINKOUT" $((m+20)) in_cg mta nsenter -t "$NSPID" -m "$BUILD/spawnloop" $m "$BENCH/run/msg" $(peer_sendmail) > "$BENCH/run/w5out"; cat "$BENCH/run/w5out";;
  W6) m=50000; start_sink csink; warm 20 $RCPT bin0 "$SINKOUT"
    measure $m bin1 "$SINKOUT" $((m+20)) source_ -s 5 -m 50 -r 1000 -l 4096 -f $FROM -t $RCPT 127.0.0.1:$PEER_PORT;;
  A*) local n=$(in_ns wc -l < "$RUN/etc.up/bench-aliases/expected.${W#A}"); m=${MSGS:-5}
    start_sink csink; warm 20 $RCPT bin0 "$SINKOUT"
    measure $m bin1 "$SINKOUT" $((m*n+20)) source_ -s 1 -d -m $m -l 4096 -f $FROM -t ${W#A}@local.bench.example 127.0.0.1:$PEER_PORT
    local_role "$m" "$((m*n+20))";;
  fsync) start_sink smtp-sink; warm 40 $RCPT sink "$SINKOUT"
    local o=$RESULTS/strace.$PEER pp; pp=$(peer_pids | sed 's/^/-p /')
    strace -f -q -yy -s 60 -e trace=fsync,fdatasync,sync_file_range,syncfs,msync,write,sendto,sendmsg,writev,rename -o "$o" $pp & local sp=$!; sleep 2
    source_ -s 1 -m 20 -l 4096 -f $FROM -t $RCPT 127.0.0.1:$PEER_PORT; "$BUILD/waitcount" sink "$SINKOUT" 60 30 > /dev/null; sleep 1.5
    kill $sp; wait $sp 2>/dev/null
    perl -ne 'BEGIN{($pe)=splice @ARGV,0,1} if(/\b(fsync|fdatasync|msync|syncfs|sync_file_range)\((?:\d+<([^>]*)>)?/){$n{$1}++;$p=$2;$p=~s/^.*\/spool\/[^\/]+\///;$p=~s/[0-9A-Za-z_.]*[0-9][0-9A-Za-z_.-]*/ID/g;$k{"$1 $p"}++}
      END{print "$pe fsync per message:";printf " %s=%.2f",$_,$n{$_}/20 for sort keys %n;print "\n";printf "   %5.2f  %s\n",$k{$_}/20,$_ for sort {$k{$b}<=>$k{$a}} keys %k}' "$PEER" "$o" | tee "$RESULTS/fsync.$PEER";;
  syscalls) start_sink csink; warm 40 $RCPT bin0 "$SINKOUT"
    local o=$RESULTS/syscalls.$PEER pp; pp=$(peer_pids | sed 's/^/-p /')
    strace -f -q -c -o "$o" $pp & local sp=$!; sleep 2
    source_ -s 4 -d -m 100 -l 4096 -f $FROM -t $RCPT 127.0.0.1:$PEER_PORT; "$BUILD/waitcount" bin0 "$SINKOUT" 140 30 > /dev/null; sleep 1.5
    kill -INT $sp; wait $sp 2>/dev/null
    perl -ne 'BEGIN{$pe=shift}if(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/){if($2 eq "total"){$t=$1}else{$n{$2}=$1}}
      END{printf "%s: %.1f system calls per message:",$pe,$t/100;printf " %s %.1f",$_,$n{$_}/100 for (sort{$n{$b}<=>$n{$a}}keys %n)[0..15];print "\n"}' "$PEER" "$o" | tee "$o.summary";;
  esac
  cleanup
}
ref() { PEER=none; cg_init; kill_cg sink; local s d m l n
  for s in ${REFSINKS:-smtp-sink csink csink-groupcommit}; do for W in W1a W1b W2; do
    m=20000 l=4096 n=20 d=; [ $W = W1b ] && d=-d; [ $W = W2 ] && m=1000 l=1048576 n=5
    unset LOG; [ $s = csink-groupcommit ] && export LOG=$BENCH/run/csink.log
    start_sink ${s%-groupcommit}; quiet_wait; local t0=$(now) g0=($(cg_cpu gen)) k0=($(cg_cpu sink))
    source_ -s $n $d -m $m -l $l -f $FROM -t $RCPT 127.0.0.1:$SINK_PORT; local t1=$(now) g1=($(cg_cpu gen)) k1=($(cg_cpu sink))
    perl -e 'printf "%s %s %d msgs: %.0f msg/s, %.1f MB/s; ms CPU per msg: source %.4f sink %.4f\n",$ARGV[0],$ARGV[1],$ARGV[2],$ARGV[2]/$ARGV[4]*1e9,$ARGV[2]*$ARGV[3]/1e6/$ARGV[4]*1e9,$ARGV[5]/1e3/$ARGV[2],$ARGV[6]/1e3/$ARGV[2]' \
      "source->$s" $W $m $l $((t1-t0)) $((g1[0]-g0[0])) $((k1[0]-k0[0])); [ -n "$LOG" ] && perl -e 'open F,$ARGV[0];read F,$b,40;@c=unpack "Q5",$b;printf "   %d messages with %d fdatasync\n",$c[0],$c[4]' "$SINKOUT"; kill_cg sink
  done; done
  quiet_wait; [ -n "$REFSINKS" ] || "$BUILD/diskbench" "$BENCH/run" 3; rm -f "$SINKOUT" "$BENCH/run/csink.log"; }

case ${1:-} in
  all) reps=${2:-3}; for p in $PEERS; do workload $p fsync 0; done; ref | tee "$RESULTS/ref.txt"
    for r in $(seq $reps); do for w in $WORKLOADS; do for p in $PEERS; do workload $p $w $r; done; done; done; "$0" report;;
  ref) ref | tee "$RESULTS/ref.txt";;
  report) perl "$BENCH/lib/report.pl" "$RESULTS/runs.tsv";;
  ''|-h|--help) sed -n 2,5p "$0"; exit 2;;
  *) for p in $([ "$1" = all-peers ] && echo $PEERS || echo ${1//,/ }); do for w in $([ "${2:-all}" = all ] && echo $WORKLOADS || echo ${2//,/ }); do workload $p $w ${3:-1}; done; done;;
esac
