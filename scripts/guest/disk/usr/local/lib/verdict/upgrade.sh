# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables shared with verdict and report.sh
#
# The plan "upgrade": Debian's own kernel is replaced by the packages, and comes back when it is chosen. Sourced.

rounds=3

round_1()
{
	check stock stock
	check install install
}

round_2()
{
	check installed installed
	check fallback fallback
}

round_3()
{
	check stock stock
}

stock()
{
	uname -r
	case $(uname -r) in
	*xenpvmmu*) return 1 ;;
	*-amd64) ;;
	*) return 1 ;;
	esac
}

install()
{
	uname -r >/root/stock-release
	apt-get install --yes --no-install-recommends /root/packages/linux-image-*.deb
}

# By the menu's own choice.
installed()
{
	uname -r
	case $(uname -r) in
	*xenpvmmu*) ;;
	*) return 1 ;;
	esac
}

# title PATTERN: of the first entry or submenu that matches.
title()
{
	sed -n "s/^\s*\(submenu\|menuentry\) '\($1\)'.*/\2/p" /boot/grub/grub.cfg | head -n 1
}

# Once, as a user chooses it in the menu.
fallback()
{
	release=$(cat /root/stock-release)
	advanced=$(title "Advanced options[^']*Xen[^']*")
	version=$(title "Xen hypervisor, version [^']*")
	entry=$(title "[^']*with Xen [^']* and Linux $release")
	echo "$advanced>$version>$entry"
	[ -n "$advanced" ] && [ -n "$version" ] && [ -n "$entry" ] && grub-reboot "$advanced>$version>$entry"
}
