# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables shared with verdict and report.sh
#
# The plan "daily": what happens to a dom0 in use. A guest outlives a reboot of dom0. Sourced.

rounds=2
guest=daily
console=/var/log/xen/console/guest-$guest.log

round_1()
{
	check cpus cpus
	check memory memory
	check sleep sleep_and_wake
	check perf perf_sees
	check btf btf
	check bpf bpf
	check kprobes kprobes
	check livepatch livepatch
	check guest start_guest
}

round_2()
{
	check restored restored
	check dump dump
	check shutdown shut_down
}

cpus()
{
	cpu=/sys/devices/system/cpu/cpu1/online
	for _ in 1 2 3; do
		echo 0 >$cpu && [ "$(nproc)" = 1 ] && echo 1 >$cpu && [ "$(nproc)" = 2 ] || return
	done
	xl vcpu-set 0 1 && await 30 processors 1 && xl vcpu-set 0 2 && await 10 xenstore_asks 2 || return
	# Linux leaves it to the user to take a CPU that Xen offers.
	echo 1 >$cpu
	await 10 processors 2 && taskset --cpu-list 1 true
}

processors()
{
	[ "$(nproc)" = "$1" ]
}

xenstore_asks()
{
	[ "$(xenstore-read /local/domain/0/cpu/1/availability)" = online ]
}

# dom0 starts with 1024 MiB and may have 1536. Between them memory is plugged in.
memory()
{
	for mib in 768 1400 1024; do
		xl mem-set 0 $mib && await 60 has_memory $mib || return
	done
}

# has_memory MIB: what Xen has given, and what programs can have of it.
has_memory()
{
	target=$(cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb)
	total=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)
	echo "$target of $total KiB"
	[ "$target" = $(($1 * 1024)) ] && [ "$total" -gt $((($1 - 200) * 1024)) ] && [ "$total" -lt $(($1 * 1024)) ]
}

sleep_and_wake()
{
	head -c 8M /dev/urandom >"$work/kept"
	sum=$(sha256sum <"$work/kept")
	systemctl suspend && await 120 woken || return
	# What memory and the disk hold.
	[ "$sum" = "$(sha256sum <"$work/kept")" ] || return
	echo 3 >/proc/sys/vm/drop_caches
	[ "$sum" = "$(sha256sum <"$work/kept")" ] && processors 2 && domain_0
}

woken()
{
	[ "$(cat /sys/power/suspend_stats/success)" = 1 ]
}

# load: processes that come and go.
load()
{
	for _ in $(seq 40); do
		/bin/true
	done
}

perf_sees()
{
	perf stat --all-cpus --event page-faults,sched:sched_process_exit --output "$work/stat" sh -c \
		'for _ in 1 2 3 4 5 6 7 8; do /bin/true; done' || return
	cat "$work/stat"
	grep -E '^ +[1-9][0-9,]* +page-faults' "$work/stat" && grep -E ' ([89]|[1-9][0-9]+) +sched:sched_process_exit' "$work/stat" || return
	# shellcheck disable=SC2016 # for the shell that perf starts
	perf record --quiet --all-cpus --event cpu-clock -g --output "$work/perf" sh -c 'for n in $(seq 40); do /bin/true; done' &&
		perf report --stdio --no-children --sort symbol --input "$work/perf" >"$work/report" || return
	head -n 30 "$work/report"
	grep -E '\[k\] [a-z_]+' "$work/report"
}

btf()
{
	bpftool btf dump file /sys/kernel/btf/vmlinux format c >"$work/types" &&
		grep -x 'struct mm_struct {' "$work/types" && bpftool btf list | grep -E 'name \[(vmlinux|nvme)\]'
}

# trace PROGRAM: of bpftrace, for three seconds, while processes come and go. Prints what it counted.
trace()
{
	while :; do
		/bin/true
		sleep 0.1
	done &
	busy=$!
	bpftrace -e "$1 interval:s:3 { exit(); }" >"$work/traced"
	done=$?
	kill $busy
	cat "$work/traced"
	return $done
}

bpf()
{
	trace 'kprobe:exit_mmap { @ended = count(); }' && grep -E '^@ended: ([89]|[1-9][0-9]+)$' "$work/traced" &&
		trace 'fentry:handle_mm_fault { @faults = count(); }' && grep -E '^@faults: [1-9][0-9]+' "$work/traced" &&
		trace 'tracepoint:xen:xen_mmu_pgd_pin { @pinned = count(); }' && grep -E '^@pinned: ([89]|[1-9][0-9]+)$' "$work/traced"
}

# A probe of a function, and of its return.
kprobes()
{
	events=/sys/kernel/tracing/kprobe_events on=/sys/kernel/tracing/events/kprobes/enable
	echo 'p:made mm_alloc' >$events || return
	# shellcheck disable=SC2016 # the kernel's
	echo 'r:returned mm_alloc value=$retval' >>$events && echo 1 >$on || return
	load
	echo 0 >$on
	cat /sys/kernel/tracing/kprobe_profile
	entered=$(awk '$1 == "made" { print $2 }' /sys/kernel/tracing/kprobe_profile)
	left=$(awk '$1 == "returned" { print $2 }' /sys/kernel/tracing/kprobe_profile)
	grep -E -m 1 'returned: .* value=0xffff[0-9a-f]+$' /sys/kernel/tracing/trace
	seen=$?
	echo >$events
	[ "$entered" -ge 40 ] && [ "$left" -ge 40 ] && [ $seen = 0 ]
}

livepatch()
{
	patch=/sys/kernel/livepatch/livepatch_sample
	modprobe livepatch-sample && await 60 patched 0 && grep 'this has been live patched' /proc/cmdline || return
	echo 0 >$patch/enabled
	await 60 unpatched && rmmod livepatch_sample && ! grep 'this has been live patched' /proc/cmdline
}

patched()
{
	[ "$(cat "$patch/transition")" = "$1" ]
}

unpatched()
{
	[ ! -e "$patch" ]
}

# With the kernel of dom0, and a user space that counts seconds.
start_guest()
{
	# xenconsoled makes files there, not the folder.
	mkdir -p ${console%/*} "$work/guest/bin" "$work/guest/proc" &&
		cp /bin/busybox "$work/guest/bin/" &&
		ln -s busybox "$work/guest/bin/sh" || return
	cat >"$work/guest/init" <<-'END'
		#!/bin/sh
		/bin/busybox mount -t proc proc /proc
		seconds=0
		trap 'busybox poweroff -f' TERM USR2
		while :; do
			echo "alive $seconds $(/bin/busybox cat /proc/sys/kernel/random/boot_id)"
			seconds=$((seconds + 1))
			/bin/busybox sleep 1
		done
	END
	chmod 755 "$work/guest/init"
	(cd "$work/guest" && find . | cpio --quiet -o -H newc | gzip) >/root/guest.img
	cat >/etc/xen/$guest.cfg <<-END
		name = "$guest"
		kernel = "/boot/vmlinuz-$(uname -r)"
		ramdisk = "/root/guest.img"
		memory = 128
		vcpus = 2
		extra = "console=hvc0"
	END
	xl create /etc/xen/$guest.cfg && await 120 alive 3
}

# alive SECONDS: the guest has counted that far.
alive()
{
	last=$(tr -d '\r' <"$console" | grep '^alive ' | tail -n 1)
	count=${last#alive }
	[ -n "$count" ] && [ "${count%% *}" -ge "$1" ]
}

# The service saved it when dom0 went down, and has restored it: the same guest, which counts on.
restored()
{
	xl list $guest || return
	grep -c '^alive 0 ' $console
	[ "$(tr -d '\r' <$console | awk '$1 == "alive" { print $3 }' | sort -u | wc -l)" = 1 ] || {
		echo "the guest has booted again"
		return 1
	}
	alive 0
	await 60 alive $((${count%% *} + 5))
}

dump()
{
	xl dump-core $guest "$work/core" && [ "$(stat -c %s "$work/core")" -gt $((120 << 20)) ] &&
		readelf --wide --sections "$work/core" | grep xen_p2m &&
		dd if="$work/core" of=/dev/disk/by-id/virtio-dump bs=1M conv=fsync
}

shut_down()
{
	xl destroy $guest && ! xl list $guest
}
