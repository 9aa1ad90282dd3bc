# SPDX-License-Identifier: GPL-2.0-only
# The guest of the scenarios. Sourced.
# Paths and names here have no blanks; run and xen.sh set what is not set here.
# shellcheck shell=busybox disable=SC2086,SC2154

guest=d1

exists()
{
	xl domid $guest >/dev/null 2>&1
}

gone()
{
	! exists
}

# type_of_guest: lines of its configuration. QEMU's emulation of SVM cannot emulate RDTSC.
type_of_guest()
{
	case $kind in
	pv) ;;
	e820) echo 'e820_host = 1' ;;
	pvh) printf 'type = "pvh"\ntsc_mode = "native"\n' ;;
	*) fail "there is no type of guest $kind" ;;
	esac
}

# start_guest MIB MAX-MIB [VCPUS]: starts the guest. A pause looks like a stall to its RCU, and
# its log must have room for the messages of many suspends.
start_guest()
{
	cat >$state/guest.cfg <<-END
		name = "$guest"
		kernel = "/guest/kernel"
		ramdisk = "/guest/initrd"
		memory = $1
		maxmem = $2
		vcpus = ${3:-2}
		extra = "console=hvc0 pvmmu.run=serve rcupdate.rcu_cpu_stall_suppress=1 log_buf_len=512K"
	END
	type_of_guest >>$state/guest.cfg
	# Each guest of this name has a log of its own.
	[ ! -e $consoles/guest-$guest.log ] ||
		mv $consoles/guest-$guest.log "$consoles/before-$(uptime_cs).log"
	xl create $state/guest.cfg || fail "xl create"
	await 300 heard "GUEST: ready" || fail "the guest does not come up"
}

need_guest()
{
	exists || start_guest 128 192
}

# Judges the guest's kernel log since boot, which its console does not show.
judge_guest()
{
	! exists || ask run 0 wx dmesg
}

# Destroys the guest without judging it.
throw_guest()
{
	xl destroy $guest 2>/dev/null
	await 60 gone
}

drop_guest()
{
	judge_guest
	throw_guest || fail "the guest still exists"
}

# heard PATTERN: searches the guest's console. A guest that moves has a second name.
heard()
{
	cat $consoles/guest-*.log 2>/dev/null | tr -d '\r' | grep "$1"
}

# ask COMMAND...: makes the guest carry out a command, prints the result.
ask()
{
	number=$(($(cat $state/number 2>/dev/null || echo 100) + 1))
	echo $number >$state/number
	tty=$(xenstore-read "/local/domain/$(xl domid $guest)/console/tty") ||
		fail "the guest has no console"
	echo "$number $*" >"$tty"
	answer=$(await 300 heard "GUEST: $number .* END$") || fail "no answer to: $1"
	answer=${answer#*"GUEST: $number "}
	answer=${answer%" END"}
	case $answer in
	ok*) echo "${answer#ok }" ;;
	*) fail "$1: $answer" ;;
	esac
}

# Starts a load that runs until the guest ends.
keep_busy()
{
	ask keep 24
}

# past LOAD ROUND: tests whether all processes of the load have finished that round.
past()
{
	done=$(ask "$1") || exit 1
	[ "$done" -gt "$2" ]
}

# still_busy [LOAD]: waits until a whole round of the load has begun and ended.
still_busy()
{
	load=${1:-beats}
	rounds_done=$(ask $load)
	await 300 past $load $((rounds_done + 1)) || fail "the guest's load stands still"
}

# Shows the guests' consoles, so that the judge of dom0's console sees them.
show_consoles()
{
	cat $consoles/*.log | tr -d '\r' | sed 's/^/guest: /'
}
