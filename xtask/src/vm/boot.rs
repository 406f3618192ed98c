//! Starting a machine: QEMU without hardware help, two NUMA nodes, four disks, no network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context as _, Result, bail};

use super::image::Image;
use crate::process::Program;
use crate::workspace;

/// Size of each of the two data disks, in MiB.
const DATA_DISK: u64 = 256;

/// How long a machine may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// No longer than this process, however that ends.
    Ours,
    /// It may be kept.
    Its,
}

/// A machine that was started. It ends with this value, unless it is kept.
pub(crate) struct Machine {
    child: Option<Child>,
    directory: PathBuf,
}

impl Machine {
    /// Starts a machine on a copy of the image. The name is that of its directory, where its
    /// disks, its console and its socket are.
    ///
    /// # Errors
    /// When a disk cannot be made or QEMU does not start.
    pub(crate) fn start(name: &str, image: &Image, payload: &Path, life: Life) -> Result<Self> {
        let directory = workspace::machines().join(name);
        if directory.exists() {
            fs::remove_dir_all(&directory).context("cannot clear an older machine")?;
        }
        fs::create_dir_all(&directory).context("cannot create the machine's directory")?;
        let root = directory.join("root.img");
        Program::new("cp")
            .args(["--sparse=always", "--reflink=auto"])
            .arg(&image.root)
            .arg(&root)
            .run()
            .context("cannot copy the image")?;
        for disk in ["data.img", "nvme.img"] {
            let file = File::create(directory.join(disk)).context("cannot make a data disk")?;
            file.set_len(DATA_DISK << 20)
                .context("cannot make a data disk")?;
        }
        let mut machine = Self {
            child: None,
            directory,
        };
        machine.child = Some(machine.qemu(image, payload, life)?.spawn()?);
        machine.wait_for_socket()?;
        Ok(machine)
    }

    fn qemu(&self, image: &Image, payload: &Path, life: Life) -> Result<Program> {
        let at = |file: &str| self.directory.join(file).display().to_string();
        let drive = |id: &str, file: &str, more: &str| {
            format!("id={id},file={file},if=none,format=raw,cache=writeback{more}")
        };
        let errors = File::create(self.directory.join("qemu.log")).context("cannot make a log")?;
        let qemu = "qemu-system-x86_64";
        let program = match life {
            Life::Ours => Program::bound_to_us(qemu),
            Life::Its => Program::new(qemu),
        };
        Ok(program
            .args([
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "max",
                "-m",
                "1024",
                "-smp",
                "2",
            ])
            .args(["-object", "memory-backend-ram,size=512M,id=m0"])
            .args(["-object", "memory-backend-ram,size=512M,id=m1"])
            .args(["-numa", "node,nodeid=0,cpus=0,memdev=m0"])
            .args(["-numa", "node,nodeid=1,cpus=1,memdev=m1"])
            .args([
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-no-reboot",
            ])
            .args(["-nic", "none", "-device", "virtio-rng-pci"])
            .arg("-kernel")
            .arg(&image.kernel)
            .arg("-initrd")
            .arg(&image.initrd)
            .args(["-append", "root=/dev/vda rw console=ttyS0 panic=-1 quiet"])
            .args(["-drive", &drive("root", &at("root.img"), "")])
            .args(["-device", "virtio-blk-pci,drive=root,serial=root"])
            .args([
                "-drive",
                &drive("payload", &payload.display().to_string(), ",readonly=on"),
            ])
            .args(["-device", "virtio-blk-pci,drive=payload,serial=workshop"])
            .args(["-drive", &drive("data", &at("data.img"), "")])
            .args(["-device", "virtio-blk-pci,drive=data,serial=data"])
            .args(["-drive", &drive("nvme", &at("nvme.img"), "")])
            .args(["-device", "nvme,drive=nvme,serial=nvme"])
            .args(["-serial", &format!("file:{}", at("console.log"))])
            .args(["-device", "virtio-serial-pci"])
            .args([
                "-chardev",
                &format!("socket,id=w,path={},server=on,wait=off", at("socket")),
            ])
            .args([
                "-device",
                "virtserialport,chardev=w,name=org.moonward.workshop",
            ])
            .without_input()
            .without_output()
            .errors_to(errors))
    }

    fn wait_for_socket(&mut self) -> Result<()> {
        for _ in 0..200 {
            if self.socket().exists() {
                return Ok(());
            }
            self.still_runs()?;
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        bail!("QEMU made no socket")
    }

    /// The socket of the channel.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// An error when QEMU has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        if let Some(status) = child.try_wait()? {
            let said = fs::read_to_string(self.directory.join("qemu.log")).unwrap_or_default();
            bail!(
                "the machine went down ({status}) {}\n{}",
                said.trim(),
                self.console_tail(30)
            );
        }
        Ok(())
    }

    /// The last lines of the machine's console.
    pub(crate) fn console_tail(&self, lines: usize) -> String {
        let log = fs::read(self.directory.join("console.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let all: Vec<&str> = log.lines().collect();
        all.get(all.len().saturating_sub(lines)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// Lets it run on; returns its process id.
    pub(crate) fn keep(mut self) -> u32 {
        self.child.take().map_or(0, |child| child.id())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it has ended already, which is what is wanted.
            drop(child.kill());
            drop(child.wait());
            // The disks are large and of no use to anybody; the logs stay.
            for disk in ["root.img", "data.img", "nvme.img"] {
                drop(fs::remove_file(self.directory.join(disk)));
            }
        }
    }
}
