//! The machine's first disk: Debian 12 with systemd, D-Bus, udev and a stock kernel.
//!
//! It is made once per recipe and kept under `target/vm`; the recipe is everything in this file
//! that ends up in the disk, so a change here makes a new one. Nothing is mounted on this host.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::payload;
use crate::apt::{self, Need};
use crate::process::Program;
use crate::stopwatch::Stopwatch;
use crate::workspace;

/// Programs of this host that make and run machines.
const NEEDS: [Need; 3] = [
    Need {
        program: "mmdebstrap",
        package: "mmdebstrap",
    },
    Need {
        program: "mke2fs",
        package: "e2fsprogs",
    },
    Need {
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
    },
];

const SUITE: &str = "bookworm";

/// What the machine has beyond the bare minimum.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,polkitd,udev,iproute2,procps,kmod,util-linux,\
    dmsetup,mdadm,busybox,linux-image-cloud-amd64,zabbix-agent,postgresql-15,pgbouncer,ntpstat";

/// Debian has no package of `zabbix_get` alone; the program is taken out of the server's package,
/// which is not installed.
const FETCH_ZABBIX_GET: &str = "chroot \"$1\" sh -ec 'cd /tmp; apt-get -q download zabbix-server-pgsql; \
    dpkg -x zabbix-server-pgsql*.deb zabbix; mv zabbix/usr/bin/zabbix_get /usr/local/bin; \
    rm -r zabbix zabbix-server-pgsql*.deb'";

/// The same for Prometheus, whose package would start a server.
const FETCH_PROMETHEUS: &str = "chroot \"$1\" sh -ec 'cd /tmp; apt-get -q download prometheus; \
    dpkg -x prometheus*.deb prometheus; mv prometheus/usr/bin/prometheus prometheus/usr/bin/promtool \
    /usr/local/bin; rm -r prometheus prometheus*.deb'";

/// Units that would only take time, or the port that Moonward is asked on.
const MASKED: [&str; 9] = [
    "zabbix-agent.service",
    "pgbouncer.service",
    "postgresql.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
];

const SERVE_UNIT: &str = "\
[Unit]
Description=The workshop's hands in this machine
DefaultDependencies=no
Requires=local-fs.target
After=local-fs.target systemd-udev-trigger.service sysinit.target

[Service]
ExecStart=/mnt/workshop/xtask guest serve /dev/virtio-ports/org.moonward.workshop
Restart=always
RestartSec=1
# What a scenario starts must outlive a restart of this unit.
KillMode=process

[Install]
WantedBy=multi-user.target
";

const FSTAB: &str = "\
/dev/vda / ext4 rw,noatime 0 1
LABEL=workshop /mnt/workshop ext4 ro 0 0
";

/// Size of the first disk, in MiB; it is sparse.
const DISK: u64 = 3072;

/// What is needed to boot.
pub(crate) struct Image {
    /// File system of `/`, never written to: machines get a copy.
    pub(crate) root: PathBuf,
    /// The kernel as Debian built it.
    pub(crate) kernel: PathBuf,
    /// Its initial RAM disk.
    pub(crate) initrd: PathBuf,
}

/// Finds the image, or makes it.
///
/// # Errors
/// When a program is missing and cannot be installed, or the archive cannot be reached.
pub(crate) fn provide() -> Result<Image> {
    apt::provide(&NEEDS)?;
    let directory = workspace::machines().join(format!("image-{:016x}", recipe()));
    let image = Image {
        root: directory.join("root.img"),
        kernel: directory.join("vmlinuz"),
        initrd: directory.join("initrd.img"),
    };
    // The kernel is copied last, so its presence says that all is there.
    if !image.kernel.exists() {
        let watch = Stopwatch::start();
        forget_older()?;
        println!("making the machine's disk");
        build(&directory, &image)?;
        println!("made {} in {watch}", image.root.display());
    }
    Ok(image)
}

/// A number that changes with anything that goes into the disk.
fn recipe() -> u64 {
    let mut hasher = DefaultHasher::new();
    (
        SUITE,
        PACKAGES,
        FETCH_ZABBIX_GET,
        FETCH_PROMETHEUS,
        MASKED,
        SERVE_UNIT,
        FSTAB,
        DISK,
    )
        .hash(&mut hasher);
    hasher.finish()
}

/// Images of older recipes are of no use to anybody.
fn forget_older() -> Result<()> {
    let Ok(entries) = fs::read_dir(workspace::machines()) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("image-") {
            fs::remove_dir_all(entry.path()).context("cannot remove an older image")?;
        }
    }
    Ok(())
}

fn build(directory: &Path, image: &Image) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).context("cannot clear a half-made image")?;
    }
    fs::create_dir_all(directory).context("cannot create the image's directory")?;
    let tree = directory.join("tree");
    Program::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase", "--format=directory"])
        .arg(format!("--include={PACKAGES}"))
        .arg(format!("--customize-hook={FETCH_ZABBIX_GET}"))
        .arg(format!("--customize-hook={FETCH_PROMETHEUS}"))
        .arg(SUITE)
        .arg(&tree)
        .run()
        .context("mmdebstrap made no Debian")?;
    furnish(&tree)?;
    payload::disk_from_tree(&tree, &image.root, "root", DISK)?;
    let (kernel, initrd) = kernel_of(&tree)?;
    copy(&initrd, &image.initrd)?;
    copy(&kernel, &image.kernel)?;
    fs::remove_dir_all(&tree).context("cannot remove the unpacked tree")
}

/// Adds what makes a Debian tree a machine that answers us.
fn furnish(tree: &Path) -> Result<()> {
    write(tree, "etc/hostname", "moonward-test\n")?;
    write(
        tree,
        "etc/hosts",
        "127.0.0.1 localhost moonward-test\n::1 localhost\n",
    )?;
    write(tree, "etc/fstab", FSTAB)?;
    write(
        tree,
        "etc/systemd/system/moonward-workshop.service",
        SERVE_UNIT,
    )?;
    let units = tree.join("etc/systemd/system");
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants).context("cannot create the target's directory")?;
    link(
        "/etc/systemd/system/moonward-workshop.service",
        &wants.join("moonward-workshop.service"),
    )?;
    for unit in MASKED {
        link("/dev/null", &units.join(unit))?;
    }
    fs::create_dir_all(tree.join("mnt/workshop")).context("cannot create a mount point")
}

fn write(tree: &Path, path: &str, content: &str) -> Result<()> {
    fs::write(tree.join(path), content).with_context(|| format!("cannot write {path}"))
}

fn link(to: &str, at: &Path) -> Result<()> {
    if at.is_symlink() {
        fs::remove_file(at)?;
    }
    symlink(to, at).with_context(|| format!("cannot link {}", at.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// The one kernel in `/boot`.
fn kernel_of(tree: &Path) -> Result<(PathBuf, PathBuf)> {
    let boot = tree.join("boot");
    for entry in fs::read_dir(&boot).context("the image has no /boot")? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some(release) = name.strip_prefix("vmlinuz-") {
            return Ok((path.clone(), boot.join(format!("initrd.img-{release}"))));
        }
    }
    bail!("the image has no kernel")
}
