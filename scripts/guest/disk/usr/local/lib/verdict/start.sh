# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables shared with verdict and report.sh
#
# The plan "start": what a user has after the installation, before and after a reboot. Sourced.

rounds=2
size=64

round_1()
{
	start
	# What GRUB passes in place of the name of a file.
	if grep -q '^placeholder ' /proc/cmdline; then
		check menu menu
		check grub-install start_by_grub
	fi
}

round_2()
{
	start
}

start()
{
	check dkms-module modprobe acpi_call
	check own-module own_module
	head -c ${size}M /dev/urandom >"$work/sent"
	check e1000e-from-virtio across e1000e virtio_net
	check virtio-from-e1000e across virtio_net e1000e
}

own_module()
{
	insmod /root/modules/inline_ptes.ko &&
		rmmod inline_ptes &&
		dmesg | grep 'inline_ptes: all functions work'
}

# across CLIENT SERVER: a file, through a wire between two cards. The server is in a network of its own.
across()
{
	client=$(card "$1") server=$(card "$2")
	if [ -z "$client" ] || [ -z "$server" ]; then
		echo "no card with the driver $1, or with $2"
		return 1
	fi
	ip netns add far &&
		ip link set "$server" netns far &&
		ip -n far address add 192.0.2.2/24 dev "$server" &&
		ip -n far link set "$server" up &&
		ip address replace 192.0.2.1/24 dev "$client" &&
		ip link set "$client" up || return
	ip netns exec far python3 -m http.server --bind 192.0.2.2 --directory "$work" 80 &
	web=$!
	curl --silent --show-error --retry 20 --retry-delay 1 --retry-all-errors --max-time 300 \
		--output "$work/received" http://192.0.2.2/sent
	done=$?
	kill $web
	wait $web
	ip netns delete far
	ip address flush dev "$client"
	# The card comes back by itself, a little later.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ -z "$(card "$2")" ] || break
		sleep 1
	done
	[ $done = 0 ] && cmp "$work/sent" "$work/received"
}

card()
{
	for entry in /sys/class/net/*; do
		driver=$(readlink -f "$entry/device/driver") || continue
		[ "${driver##*/}" != "$1" ] || echo "${entry##*/}"
	done
}

# What is on the disk was put there by a program that knows no disks: here are the real ones.
menu()
{
	entries </boot/grub/grub.cfg >"$work/before" &&
		update-grub &&
		entries </boot/grub/grub.cfg >"$work/after" &&
		diff "$work/before" "$work/after"
}

# entries: a menu without the ways to find the disk.
entries()
{
	sed -e '/feature_platform_search_hint/,/^\s*fi$/d' -e '/^\s*search /d' -e '/^\s*set root=/d'
}

start_by_grub()
{
	part=$(findmnt --noheadings --output SOURCE /)
	disk=$(lsblk --inverse --noheadings --raw --paths --output NAME,TYPE "$part" | sed -n 's/ disk$//p')
	if [ "$firmware" = efi ]; then
		grub-install
	else
		grub-install "$disk"
	fi
}
