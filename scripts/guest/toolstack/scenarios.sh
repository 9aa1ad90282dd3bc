# SPDX-License-Identifier: GPL-2.0-only
# The scenarios. Sourced; see run.
# Paths and names here have no blanks; run and xen.sh set what is not set here.
# shellcheck shell=busybox disable=SC2086,SC2154

play_create()
{
	start_guest 128 192
	facts=$(ask facts)
	backend=$(echo "$facts" | sed 's/.*PV MMU: \([A-Za-z]*\).*/\1/')
	note "PV MMU of the guest is $backend"
	! heard "not ok " || fail "KUnit in the guest: $(heard "not ok " | head -n 1)"
	# Tests of a suite are indented further than the suite.
	passed=$(heard "     ok [0-9]" | grep -cv "# SKIP") || true
	[ $backend != Rust ] || [ $passed -gt 0 ] || fail "no test of KUnit has passed in the guest"
	note "KUnit: $passed passed, $(heard "     ok [0-9]" | grep -c "# SKIP") skipped"
}

# A long line wraps around both rings more than once.
play_console()
{
	need_guest
	line=$(head -c 700 /dev/urandom | base64 | tr -d '\n')
	for round in 1 2 3; do
		[ "$(ask echo "$line")" = "$line" ] || fail "round $round: not what was sent"
	done
}

online_are()
{
	cpus=$(ask cpus) || exit 1
	[ "$cpus" = "$1" ]
}

play_cpus()
{
	need_guest
	keep_busy
	for _ in 1 2; do
		xl vcpu-set $guest 1
		await 200 online_are 0 || fail "one CPU wanted, it has $cpus"
		xl vcpu-set $guest 2
		await 200 online_are 0-1 || fail "two CPUs wanted, it has $cpus"
	done
	ask run 2 threads fork
	still_busy
}

# More vCPUs than a word has bits, on a few CPUs.
play_crowd()
{
	drop_guest
	start_guest 512 512 66
	await 200 online_are 0-65 || fail "66 CPUs wanted, it has $cpus"
	ask run 5 threads fork exec-storm
	xl vcpu-set $guest 3
	await 200 online_are 0-2 || fail "three CPUs wanted, it has $cpus"
	xl vcpu-set --ignore-host $guest 66
	await 200 online_are 0-65 || fail "66 CPUs wanted again, it has $cpus"
	ask run 5 threads fork
}

# total_is KIB: tests whether the guest's memory is that, within a MiB.
total_is()
{
	total=$(ask memory) || exit 1
	off=$((total - $1))
	[ $off -ge -1024 ] && [ $off -le 1024 ]
}

# The guest's memory goes below its initial size, back, and above it.
play_memory()
{
	need_guest
	keep_busy
	ask online
	start=$(ask memory)
	for mib in 100 128 168 128; do
		xl mem-set $guest $mib
		await 200 total_is $((start + (mib - 128) * 1024)) ||
			fail "at $mib MiB it has $total kB, it started with $start"
	done
	ask run 2 fork mmap
	still_busy
}

cpu_seconds()
{
	xl list $guest | sed -n '2s/.* //p'
}

play_pause()
{
	need_guest
	keep_busy
	for _ in 1 2 3; do
		xl pause $guest
		before=$(cpu_seconds)
		sleep 1
		[ "$(cpu_seconds)" = "$before" ] || fail "it runs while it is paused"
		xl unpause $guest
		still_busy
	done
}

disk_gone()
{
	! xl block-list $guest | grep -q backend/vbd
}

# The data of the disk goes through grants that blkback maps.
play_block()
{
	need_guest
	keep_busy
	dd if=/dev/urandom of=$state/disk bs=64k count=256
	losetup /dev/loop7 $state/disk
	xl block-attach $guest format=raw,vdev=xvda,access=rw,target=/dev/loop7 ||
		fail "xl block-attach: $(tail -n 3 /var/log/xen/xen-hotplug.log)"
	[ "$(ask read xvda)" = "$(sha256sum <$state/disk)" ] || fail "the guest reads something else"
	written=$(ask write xvda 128)
	xl block-detach $guest xvda || fail "xl block-detach"
	await 60 disk_gone || fail "the disk stays"
	sync
	[ "$(head -c $((128 * 65536)) $state/disk | sha256sum)" = "$written" ] ||
		fail "the guest wrote something else"
	losetup -d /dev/loop7
	rm $state/disk
	still_busy
}

# run_here SECONDS TEST...: runs tests in dom0, where none may skip.
run_here()
{
	mmstress run -t "$@" >$state/run || fail "$(sed -n 's/.*FAIL //p' $state/run)"
	! grep SKIP $state/run || fail "$(grep -m 1 SKIP $state/run)"
}

# Grants of dom0 to itself, while a guest grants pages as well.
play_grants()
{
	need_guest
	keep_busy
	run_here 8 grant-map grant-bad grant-use grant-private grant-exit
	still_busy
}

# The toolstack's access to a guest's memory. The guest is paused, so its pages do not change.
play_frames()
{
	need_guest
	keep_busy
	still_busy
	pages=$(ask pages)
	# The C backend has a bug there, whose fix is tested with this parameter.
	moves=stays
	case "$(mmstress facts | sed -n 's/.*PV MMU: //p') $(cat /proc/cmdline)" in
	Rust\ * | *\ pvmmu.moves*) moves=moves ;;
	esac
	xl pause $guest
	said=$(timeout 1200 /guest/frames "$(xl domid $guest)" 1 "$pages" "$moves" 2>&1) ||
		fail "${said:-no end}"
	note "$said"
	xl unpause $guest
	still_busy
}

# Debuggers find the guest's pages by the p2m list that it publishes to the toolstack.
play_dump()
{
	need_guest
	keep_busy
	still_busy
	pages=$(ask pages)
	xl pause $guest
	xl dump-core $guest $state/core || fail "xl dump-core"
	said=$(timeout 600 /guest/core $state/core 1 "$pages" 2>&1) || fail "${said:-no end}"
	note "$said"
	rm $state/core
	xl unpause $guest
	still_busy
}

save_and_restore()
{
	xl save $guest $state/saved || fail "round $round: xl save"
	gone || fail "round $round: the guest still exists"
	xl restore $state/saved || fail "round $round: xl restore"
	rm $state/saved
}

play_save()
{
	need_guest
	keep_busy
	ask online
	start=$(ask memory)
	for round in $(seq "$rounds"); do
		# The guest's memory changes size meanwhile.
		xl mem-set $guest $((round % 2 ? 100 : 160))
		save_and_restore
		still_busy
	done
	xl mem-set $guest 128
	await 200 total_is $start || fail "it has $total kB, it started with $start"
	ask run 2 fork mmap prot-none
	note "$rounds rounds"
}

# A suspend during many forks.
play_forks()
{
	need_guest
	keep_busy
	ask storm
	still_busy storms
	for round in $(seq "$rounds"); do
		save_and_restore
		still_busy storms
	done
	ask calm
	still_busy
	note "$rounds rounds"
}

# The guest continues: after a checkpoint, and after a save that fails for lack of space.
play_cancel()
{
	need_guest
	keep_busy
	id=$(xl domid $guest)
	for _ in $(seq "$rounds"); do
		xl save -c $guest $state/saved || fail "xl save -c"
		rm $state/saved
		still_busy
	done
	mkdir -p $state/small
	mount -t tmpfs -o size=8m tmpfs $state/small
	! xl save $guest $state/small/saved || fail "8 MiB is enough to save it"
	still_busy
	umount $state/small
	[ "$(xl domid $guest)" = "$id" ] || fail "it is another domain now"
}

# Saved into a pipe from which another domain is restored. For the guest that is a
# migration, on a Xen without shadow paging.
move()
{
	[ -p $state/pipe ] || mkfifo $state/pipe
	# Its current memory size, which may differ from its initial size.
	mib=$(xl list $guest | sed -n '2s/[^ ]* *[0-9]* *\([0-9]*\) .*/\1/p')
	sed "s/^name = .*/name = \"$guest-moved\"/; s/^memory = .*/memory = $mib/" \
		$state/guest.cfg >$state/moved.cfg
	xl restore $state/moved.cfg $state/pipe &
	xl save $guest $state/pipe || fail "xl save to a pipe"
	wait $! || fail "xl restore from a pipe"
	gone || fail "the guest still exists"
	xl rename $guest-moved $guest
	still_busy
}

play_move()
{
	need_guest
	keep_busy
	for _ in $(seq "$rounds"); do
		move
	done
	note "$rounds rounds"
}

play_live()
{
	need_guest
	keep_busy
	ask storm
	still_busy storms
	for round in $(seq "$rounds"); do
		id=$(xl domid $guest)
		xl migrate -s "" $guest "exec xl migrate-receive" || fail "round $round: xl migrate"
		[ "$(xl domid $guest)" != "$id" ] || fail "round $round: the guest did not move"
		still_busy storms
	done
	ask calm
	ask run 2 fork mmap prot-none
	still_busy
	note "$rounds rounds"
}

# Memory sizes around the limits of leaves, middle pages and the tables above them.
play_sizes()
{
	for mib in 64 66 127 128 130 510 511 512 513 1023 1024 1025 2047 2049; do
		drop_guest
		start_guest $mib $mib
		keep_busy
		ask run 2 memory-hog
		move
	done
	drop_guest
	start_guest 5000 5000
	ask run 10 memory-hog
	note "64 to 5000 MiB"
}

# Saved after more than a GiB was added to it, in blocks.
play_grown()
{
	drop_guest
	start_guest 256 1600
	keep_busy
	ask online
	start=$(ask memory)
	xl mem-set $guest 1560
	await 300 total_is $((start + (1560 - 256) * 1024)) || fail "it has $total kB"
	ask run 5 memory-hog
	move
	ask run 5 memory-hog
	note "$(ask memory) kB"
}

# The p2m list, with frames of the guest in it, and the page tables of init.
play_viewer()
{
	need_guest
	insmod /lib/modules/pgtable_dump.ko
	python3 /guest/viewer 1 >$state/drawn 2>&1 || fail "$(tail -n 1 $state/drawn)"
	rmmod pgtable_dump
	for kind in local foreign identity; do
		grep -q "^ *$kind [1-9]" $state/drawn || fail "no $kind frames"
	done
	mappings=$(grep -c "" /proc/1/maps)
	drawn=$(grep -c "  <- 0x\|^0x" $state/drawn)
	[ "$drawn" = "$mappings" ] || fail "init has $mappings mappings, drawn are: $drawn"
	note "$mappings mappings"
}

# trace-cmd, perf stat and perf record trace ls, with the commands of the admin guide.
play_tracers()
{
	need_guest
	keep_busy
	(cd $state && sh -e /guest/tracers.sh) >$state/traced 2>&1 || fail "$(tail -n 1 $state/traced)"
	cat $state/traced
	for event in set_pte pgd_unpin; do
		seen=$(grep -c "^ *[1-9][0-9]* *\(xen:\)*xen_mmu_$event:* *$" $state/traced) || true
		[ "$seen" = 3 ] || fail "$seen of 3 tools see $event"
	done
	still_busy
}

# stress-ng uses memory while CPUs and memory of dom0 come and go and a guest runs.
play_storm()
{
	need_guest
	keep_busy
	/usr/bin/stress-ng --timeout "$seconds" --verify --temp-path /tmp \
		--fork 1 --vfork 1 --exec 1 --clone 1 --pthread 1 --mmap 1 --mmap-bytes 32m \
		--mmapfork 1 --munmap 1 --mprotect 1 --mremap 1 --mremap-bytes 16m --vma 1 \
		--madvise 1 --mlock 1 --vm 1 --vm-bytes 64m >$state/storm 2>&1 &
	storm=$!
	run_here "$seconds" cpu-hotplug balloon
	wait $storm || {
		cat $state/storm
		fail "$(grep -m 1 'fail' $state/storm)"
	}
	note "$(sed -n 's/.*\(successful run completed.*\)/\1/p' $state/storm)"
	still_busy
}

play_shutdown()
{
	need_guest
	judge_guest
	xl shutdown $guest
	await 200 gone || fail "the guest does not shut down"
	! heard "Kernel panic" || fail "it panicked"
}

# Xen keeps pages of its own for dom0's grants, as many as were ever needed at once.
all_back()
{
	less=$(($(cat $state/free) - $(/guest/free)))
	[ "$(domains)" = 1 ] && [ $less -ge 0 ] && [ $less -le 64 ]
}

# With all guests gone, Xen has its memory back and dom0 has what it had.
play_totals()
{
	drop_guest
	await 60 all_back || fail "$(domains) domains; Xen has $less pages less, at first $(cat $state/free)"
	total=$(sed -n 's/^MemTotal: *//p' /proc/meminfo)
	[ "$total" = "$(cat $state/total)" ] || fail "MemTotal of dom0 is $total, at first $(cat $state/total)"
	note "Xen has $less pages less"
}

play_dmesg()
{
	run_here 0 wx dmesg
	! dmesg | grep segfault || fail "a program of dom0 crashed: $(dmesg | grep -m 1 segfault)"
}
