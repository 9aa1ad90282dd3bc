# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What each plan checks first: a dom0 that is up. Sourced.

health()
{
	check running running
	check units no_failed_unit
	check xen xen_service
	check list domain_0
}

running()
{
	systemctl is-system-running --wait
}

no_failed_unit()
{
	failed=$(systemctl list-units --failed --plain --no-legend)
	[ -z "$failed" ] || {
		systemctl status --no-pager --failed
		echo "$failed" | tr '\n' ' '
		return 1
	}
}

xen_service()
{
	systemctl is-active xen.service xendomains.service && xenstore-read domid
}

domain_0()
{
	xl list | grep -E '^Domain-0 +0 +[0-9]+ +[0-9]+ +r' || {
		xl list
		return 1
	}
}
