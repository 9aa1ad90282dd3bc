# SPDX-License-Identifier: GPL-2.0-only
# The toolstack of dom0, and small helpers. Sourced.
# Paths and names here have no blanks; run and xen.sh set what is not set here.
# shellcheck shell=busybox disable=SC2086,SC2154

export PATH=/xen:/usr/bin:/bin:/sbin
state=/run/toolstack
consoles=/var/log/xen/console
log=$state/log

# fail REASON: ends the scenario.
fail()
{
	echo "$*" >>$state/said
	exit 1
}

# note TEXT: printed after the name of a scenario that passes.
note()
{
	echo "$*" >>$state/said
}

# Prints the uptime in hundredths of a second.
uptime_cs()
{
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}"
}

took()
{
	cs=$(($(uptime_cs) - $1))
	printf '%d.%d s' $((cs / 100)) $((cs / 10 % 10))
}

# await SECONDS COMMAND...: repeats the command until it succeeds.
await()
{
	await_end=$(($(uptime_cs) + $1 * 100))
	shift
	until "$@"; do
		[ "$(uptime_cs)" -lt $await_end ] || return 1
		sleep 0.2
	done
}

start_xen()
{
	mkdir -p /dev/pts $state $consoles /run/xen /run/xenstored /run/lock \
		/var/lib/xen /var/lib/xenstored
	ln -s /run/lock /var/lock
	# The scripts for block devices need the links that udev would make.
	ln -s /proc/self/fd /dev/fd
	ln -s fd/0 /dev/stdin
	mount -t devpts devpts /dev/pts
	[ -e /proc/xen/privcmd ] || mount -t xenfs xenfs /proc/xen
	oxenstored --no-fork >$state/oxenstored.log 2>&1 &
	# Without the socket, clients would wait for the kernel, which waits for xenstored.
	await 30 [ -S /run/xenstored/socket ] ||
		echo "PVMMU: FAIL oxenstored $(tail -n 1 $state/oxenstored.log)"
	xen-init-dom0 >>$log 2>&1
	xenconsoled -i --log=guest --log-dir=$consoles >$state/xenconsoled.log 2>&1 &
}

domains()
{
	xl list | sed 1d | wc -l
}

# Records the values that must be the same at the end.
note_totals()
{
	/guest/free >$state/free
	sed -n 's/^MemTotal: *//p' /proc/meminfo >$state/total
}
