#!/bin/busybox sh
# First program of the test host: loads the kernel modules, puts a tmpfs over the read-only root
# and hands over to the agent. Any failure ends PID 1, so the kernel panics and `run` boots anew.
# KVM loads in the background, which the agent awaits: patching its code takes as long as Python.
set -e
/bin/busybox mkdir -p /proc /sys /dev /lower /upper /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
load() {
	for module in "$@"; do
		/bin/busybox insmod "/modules/$module.ko"
	done
}
load virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci
load virtio_blk virtio_console squashfs overlay
load irqbypass kvm kvm-amd &

/bin/busybox mount -t squashfs -o ro /dev/vda /lower
/bin/busybox mount -t tmpfs -o size=80%,mode=755 tmpfs /upper
/bin/busybox mkdir /upper/data /upper/work
/bin/busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /root

cd /root
/bin/busybox mount --move /proc proc
/bin/busybox mount --move /sys sys
/bin/busybox mount --move /dev dev
/bin/busybox ln -sfn /proc/self/fd dev/fd
/bin/busybox ln -sfn /proc/self/fd/0 dev/stdin
/bin/busybox ln -sfn /proc/self/fd/1 dev/stdout
/bin/busybox ln -sfn /proc/self/fd/2 dev/stderr
/bin/busybox mkdir -p dev/pts dev/shm dev/mqueue
/bin/busybox mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
/bin/busybox mount -t tmpfs -o mode=1777 tmpfs dev/shm
/bin/busybox mount -t mqueue mqueue dev/mqueue
/bin/busybox mount -t cgroup2 cgroup2 sys/fs/cgroup
/bin/busybox mount -t tmpfs -o mode=755 tmpfs run
/bin/busybox cp -R /agent run/agent
/bin/busybox mkdir work

/bin/busybox hostname kvmhost
/bin/busybox ifconfig lo 127.0.0.1 up
ulimit -Hn 1048576

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/run/agent
# Not switch_root: it would delete the modules that are still being loaded.
/bin/busybox mount --move . /
exec /bin/busybox chroot . /usr/bin/python3 -S -m kvmhost.agent
