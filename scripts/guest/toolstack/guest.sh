# SPDX-License-Identifier: GPL-2.0
# The one guest that the scenarios have. Sourced.
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

# start_guest MIB MAX-MIB [VCPUS]. To the guest's RCU, having been paused looks like a stall.
# Its log is to hold all that it says of many suspends.
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
	# Another guest of this name, another log.
	[ ! -e $consoles/guest-$guest.log ] ||
		mv $consoles/guest-$guest.log "$consoles/before-$(uptime_cs).log"
	xl create $state/guest.cfg || fail "xl create"
	await 300 heard "GUEST: ready" || fail "the guest does not come up"
}

need_guest()
{
	exists || start_guest 128 192
}

# What the guest's kernel has said since it booted: its console shows nothing of it.
judge_guest()
{
	! exists || ask run 0 wx dmesg
}

# throw_guest: whatever there is to be said about it.
throw_guest()
{
	xl destroy $guest 2>/dev/null
	await 60 gone
}

drop_guest()
{
	judge_guest
	throw_guest || fail "it is still there"
}

# heard PATTERN: on the guest's console. While it moves it has a second name.
heard()
{
	cat $consoles/guest-*.log 2>/dev/null | tr -d '\r' | grep "$1"
}

# ask COMMAND...: lets the guest carry it out, prints the result.
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

# A load, from now on until the guest ends.
keep_busy()
{
	ask keep 24
}

# past LOAD ROUND: have all processes of the load finished that one?
past()
{
	done=$(ask "$1") || exit 1
	[ "$done" -gt "$2" ]
}

# still_busy [LOAD]: more than one round of it is seen from its beginning to its end.
still_busy()
{
	load=${1:-beats}
	rounds_done=$(ask $load)
	await 300 past $load $((rounds_done + 1)) || fail "the guest's load stands still"
}

# What the guests' kernels had to say, for whoever judges dom0's console.
show_consoles()
{
	cat $consoles/*.log | tr -d '\r' | sed 's/^/guest: /'
}
