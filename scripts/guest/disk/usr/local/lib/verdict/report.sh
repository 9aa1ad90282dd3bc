# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What a verdict prints, and counts. Sourced.

pass=0 fail=0
work=$(mktemp -d)

# A login that starts hangs up whatever has the console open.
show()
{
	cat >/dev/hvc0
}

# A login that starts also drops what is on its way to the console: all is said
# once more at the end of a round.
say()
{
	echo "PVMMU: $*" | tee -a "$work/lines" | show
}

# check NAME COMMAND...: its last line is the reason if it fails.
check()
{
	name=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		say "PASS $name"
		pass=$((pass + 1))
	else
		say "FAIL $name: $(tail -n 1 "$work/said")"
		fail=$((fail + 1))
		tail -n 40 "$work/said" | sed 's/^/  /' | show
	fi
}

# await SECONDS COMMAND...: until it succeeds.
await()
{
	seconds=$1
	shift
	for _ in $(seq "$seconds"); do
		! "$@" || return 0
		sleep 1
	done
	echo "not within $seconds s: $*"
	return 1
}
