# SPDX-License-Identifier: GPL-2.0-only
# Where things are, and the way into the build root. Sourced by the scripts
# beside it, which use what they need.
# shellcheck shell=bash disable=SC2034

# die WHAT HAPPENED. WHAT TO DO.
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${XEN_PVMMU_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set. Set XEN_PVMMU_CACHE instead.}/.cache}/xen-pvmmu}
build=${XEN_PVMMU_BUILD:-$repo/build}
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac
case $build in /*) ;; *) build=$PWD/$build ;; esac
for place in "$repo" "$cache" "$build"; do
	# The kernel's build and QEMU give these characters a meaning.
	case $place in
	*[[:space:]:,]*) die "'$place' has a blank, a colon or a comma. Choose a path without, for it or for what it is set by." ;;
	esac
done
kver=${KVER:-7.3}
known=$(sed -n 's/^linux = \[\(.*\)\]$/\1/p' "$repo/scripts/anchors.toml")
case $known in
*"\"$kver\""*) ;;
*) die "KVER=$kver is not supported. Leave it out, or set it to one of: $(tr -d '",' <<<"$known")." ;;
esac
suite=trixie
path=/usr/lib/llvm-19/bin:/usr/sbin:/usr/bin
xen_release=4.20

# packages_in FILE: the names of a list.
packages_in() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$repo/scripts/config/$1.packages"
}
packages=$(packages_in build-root)

# The name carries the package list, so a changed list makes a new root and
# two checkouts can share one cache.
root=$cache/root-$(printf '%s\n' "$suite" "$packages" | sha256sum | cut -c1-12)
linux=$cache/linux-$kver
linux_config=$cache/config-$kver
xen=$cache/xen-$xen_release.elf

# The Xen of Debian's release before, which many hosts have.
old_xen_release=4.17
old_suite=bookworm
old_xen=$cache/xen-$old_xen_release.elf

# The same Xen with shadow paging, made on demand. The name carries what it is
# made from: the package in the root, and how.
shadow_xen() {
	cat "$root/boot/xen-$xen_release-amd64.config" "$repo/scripts/shadow-xen" \
		<(xen_version) | sha256sum | sed "s,^\(.\{12\}\).*,$cache/xen-$xen_release-shadow-\1.elf,"
}

# Debian for a dom0 on a disk, as a tar file; made on demand, and named as the root is.
disk_packages=$(packages_in disk)
disk_base=$cache/disk-$(printf '%s\n' "$suite" "$disk_packages" | sha256sum | cut -c1-12).tar

# The version of Debian's source package that the Xen in the root was built from.
xen_version() {
	sed -n "/^Package: xen-hypervisor-$xen_release-amd64\$/,/^\$/s/^Version: //p" "$root/var/lib/dpkg/status"
}

# plain_xen FILE: where a Xen is that QEMU can boot, which wants it uncompressed; the copy
# is kept with the results.
plain_xen() {
	[ -f "$1" ] || die "XEN=$1 is not a file. Set it to a Xen binary, or leave it out."
	case $1 in
	*.gz)
		own "$build"
		gunzip -c "$1" >"$build/xen.elf"
		echo "$build/xen.elf"
		;;
	*) realpath "$1" ;;
	esac
}

# What cargo downloads, for all checkouts together.
crates=$cache/cargo

# Commands of cargo that are made on demand, each in a directory of its own:
# cargo-NAME-VERSION.
cargo_tools=$(sed -n 's/^\(cargo-[^ ]*\) \([0-9.]*\)$/\1-\2/p' "$repo/scripts/config/cargo.tools")

# own DIRECTORY: make it, marked as ours and as not worth a backup.
own() {
	if ! mkdir -p "$1" || [ ! -w "$1" ] || { [ ! -e "$1/CACHEDIR.TAG" ] &&
		! echo 'Signature: 8a477f597d28d172789f06886806bc55' >"$1/CACHEDIR.TAG"; }; then
		die "$1 cannot be written. Set XEN_PVMMU_BUILD (results) and XEN_PVMMU_CACHE (downloads) to directories that can."
	fi
}

# in_root [BWRAP-OPTION...] -- COMMAND...
# Mounts live in a private namespace and end with the command. The root's own
# files are read-only; the rest of the file system is empty, so that the
# repository can keep its path.
in_root() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	bwrap --unshare-pid --unshare-ipc --die-with-parent \
		--ro-bind "$root/usr" /usr --ro-bind "$root/etc" /etc \
		--ro-bind-try "$root/var/lib/dpkg" /var/lib/dpkg \
		--symlink usr/bin /bin --symlink usr/sbin /sbin \
		--symlink usr/lib /lib --symlink usr/lib64 /lib64 \
		--dev /dev --proc /proc --perms 1777 --tmpfs /tmp \
		--clearenv --setenv HOME /tmp --setenv LANG C.UTF-8 \
		--setenv PATH "$path" \
		"${options[@]}" -- "$@"
}
