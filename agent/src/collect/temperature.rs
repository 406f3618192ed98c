//! Temperatures of chips and disks.
//!
//! Reads `/sys/class/hwmon/hwmon*/{name,device,temp*_input,temp*_label,temp*_max,temp*_crit}`
//! (Documentation/hwmon/sysfs-interface.rst), and where no chip has a temperature
//! `/sys/bus/platform/devices/coretemp*/temp*`, as on old kernels, or
//! `/sys/class/thermal/thermal_zone*/{type,temp,trip_point_*}`
//! (Documentation/driver-api/thermal/sysfs-api.rst). Both speak in thousandths of a degree.
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.hardware.temperature{chip,sensor}` | Cel | gauge |
//! | `system.hardware.temperature.limit{chip,sensor,type}`, type `critical`, `high` | Cel | gauge |
//!
//! `chip` is the driver's name and the device it sits on (`coretemp.0`, `k10temp-0000:00:18.3`), because two
//! processors have the same names and `hwmon3` may be another chip after the next boot; `sensor` is
//! the label, or `temp1` where there is none. What sensors there are and their labels and limits
//! are read again only when a chip comes or goes: a read may mean a bus transfer or a command to a
//! disk.
//!
//! Taken apart by hand: procfs-core does not read sysfs.

use super::number::shorten;
use super::{Collector, Root, Round};
use crate::model::Unit;

const HWMON: &str = "/sys/class/hwmon";
/// Where kernels before 3.14 have the files of `coretemp`.
const PLATFORM: &str = "/sys/bus/platform/devices";
const THERMAL: &str = "/sys/class/thermal";
/// The most sensors that are kept; a machine with 512 cores has about as many.
const SENSORS_MAX: usize = 1024;
/// Outside of these thousandths of a degree it is no temperature; some disks report a limit of
/// 65,261 degrees where they have none.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -273_150..=1_000_000;

/// The collector of temperatures.
#[derive(Debug, Default)]
pub struct Temperature {
    seen: Vec<String>,
    sensors: Vec<Sensor>,
}

/// One temperature that can be read.
#[derive(Debug)]
pub(crate) struct Sensor {
    /// The driver's name and the device it sits on.
    pub(crate) chip: String,
    /// The label, or the name of the file.
    pub(crate) name: String,
    path: String,
    critical: Option<i64>,
    high: Option<i64>,
}

impl Sensor {
    /// The temperature in degrees Celsius; none when the sensor does not answer or says nonsense.
    pub(crate) fn celsius(&self, root: &Root) -> Option<f64> {
        degrees(millidegrees(&root.read(&self.path).ok()?))
    }

    /// The temperature in degrees Celsius from which on damage is to be feared.
    pub(crate) fn critical(&self) -> Option<f64> {
        degrees(self.critical)
    }

    /// The highest temperature in degrees Celsius that is meant to be.
    pub(crate) fn high(&self) -> Option<f64> {
        degrees(self.high)
    }
}

fn degrees(thousandths: Option<i64>) -> Option<f64> {
    thousandths.map(|number| number as f64 / 1000.0)
}

impl Collector for Temperature {
    fn name(&self) -> &'static str {
        "temperature"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        let mut names = round.root.names(HWMON);
        names.extend(round.root.names(THERMAL));
        if names != self.seen || self.sensors.is_empty() {
            let beyond;
            (self.sensors, beyond) = find_sensors(round.root);
            if beyond > 0 {
                round.lost(format!(
                    "{beyond} temperature sensors were left out; {SENSORS_MAX} is the most that are read"
                ));
            }
            self.seen = names;
        }
        if self.sensors.is_empty() {
            round.absent(format!("neither {HWMON} nor {THERMAL} has a temperature"));
        }
        for sensor in &self.sensors {
            let Some(text) = round.read(&sensor.path) else {
                continue;
            };
            let Some(temperature) = millidegrees(&text) else {
                round.lost(format!(
                    "{}: {:?} is no temperature",
                    sensor.path,
                    shorten(text.trim_ascii())
                ));
                continue;
            };
            let tags = [("chip", &*sensor.chip), ("sensor", &*sensor.name)];
            let celsius = temperature as f64 / 1000.0;
            round
                .batch
                .gauge("system.hardware.temperature", &tags, Unit::CELSIUS, celsius);
            for (kind, limit) in [("critical", sensor.critical()), ("high", sensor.high())] {
                let Some(limit) = limit else { continue };
                let [chip, name] = tags;
                round.batch.gauge(
                    "system.hardware.temperature.limit",
                    &[chip, name, ("type", kind)],
                    Unit::CELSIUS,
                    limit,
                );
            }
        }
    }
}

fn millidegrees(text: &str) -> Option<i64> {
    let number = text.trim_ascii().parse().ok()?;
    PLAUSIBLE.contains(&number).then_some(number)
}

/// Every sensor, and how many were left out for their number: those of `hwmon`, else those of
/// `coretemp` where old kernels had them, else the thermal zones.
pub(crate) fn find_sensors(root: &Root) -> (Vec<Sensor>, usize) {
    let mut sensors = Vec::new();
    for hwmon in root.names(HWMON) {
        let folder = format!("{HWMON}/{hwmon}");
        find_on_chip(root, &folder, || chip_name(root, &hwmon), &mut sensors);
    }
    if sensors.is_empty() {
        for device in root.names(PLATFORM) {
            if device.starts_with("coretemp") {
                let folder = format!("{PLATFORM}/{device}");
                find_on_chip(root, &folder, || device.clone(), &mut sensors);
            }
        }
    }
    if sensors.is_empty() {
        for zone in root.names(THERMAL) {
            if zone.starts_with("thermal_zone") {
                sensors.extend(find_zone(root, &zone));
            }
        }
    }
    let beyond = sensors.len().saturating_sub(SENSORS_MAX);
    sensors.truncate(SENSORS_MAX);
    (sensors, beyond)
}

/// The limit in a file that a sensor may well not have.
fn limit(root: &Root, path: &str) -> Option<i64> {
    millidegrees(&root.read(path).ok()?)
}

fn find_on_chip(
    root: &Root,
    folder: &str,
    name_of_chip: impl Fn() -> String,
    sensors: &mut Vec<Sensor>,
) {
    let first = sensors.len();
    let mut chip = None;
    for file in root.names(folder) {
        let Some(stem) = file.strip_suffix("_input") else {
            continue;
        };
        if !stem.starts_with("temp") {
            continue;
        }
        let chip = chip.get_or_insert_with(&name_of_chip);
        let label = root.read(&format!("{folder}/{stem}_label")).ok();
        let label = label.as_deref().map_or(stem, str::trim_ascii);
        let taken = sensors
            .iter()
            .skip(first)
            .any(|sensor| sensor.name == label);
        let name = if taken {
            format!("{label} ({stem})")
        } else {
            label.to_owned()
        };
        sensors.push(Sensor {
            chip: chip.clone(),
            name,
            path: format!("{folder}/{file}"),
            critical: limit(root, &format!("{folder}/{stem}_crit")),
            high: limit(root, &format!("{folder}/{stem}_max")),
        });
    }
}

fn chip_name(root: &Root, hwmon: &str) -> String {
    let name = root.read(&format!("{HWMON}/{hwmon}/name"));
    let name = name.as_deref().map_or(hwmon, str::trim_ascii);
    let link = std::fs::read_link(root.path(&format!("{HWMON}/{hwmon}/device")));
    let device = link
        .ok()
        .and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
    match device {
        Some(device) if device.starts_with(name) => device,
        Some(device) => format!("{name}-{device}"),
        None => format!("{name}-{hwmon}"),
    }
}

fn find_zone(root: &Root, zone: &str) -> Option<Sensor> {
    let folder = format!("{THERMAL}/{zone}");
    let path = format!("{folder}/temp");
    // A zone that is switched off answers with an error; it is none of our sensors.
    root.read(&path).ok()?;
    let kind = root.read(&format!("{folder}/type")).ok()?;
    let (mut critical, mut high) = (None, None);
    for file in root.names(&folder) {
        let Some(trip) = file.strip_suffix("_type") else {
            continue;
        };
        let Ok(kind) = root.read(&format!("{folder}/{file}")) else {
            continue;
        };
        let slot = match kind.trim_ascii() {
            "critical" => &mut critical,
            "hot" => &mut high,
            _ => continue,
        };
        *slot = limit(root, &format!("{folder}/{trip}_temp"));
    }
    Some(Sensor {
        chip: kind.trim_ascii().to_owned(),
        name: zone.to_owned(),
        path,
        critical,
        high,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Moment};

    fn write(tree: &Path, path: &str, text: &str) {
        let file = tree.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn collect(collector: &mut Temperature, tree: &Path) -> (Vec<String>, u64, u64) {
        let root = Root::recorded(tree);
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(1));
        collector.collect(&mut round);
        let (lost, absent) = (round.losses().0, round.absences());
        let lines = batch
            .iter()
            .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
            .collect();
        (lines, lost, absent)
    }

    #[test]
    fn a_chip_that_comes_later_is_found() {
        let tree = tempfile::tempdir().unwrap();
        let mut collector = Temperature::default();
        assert_eq!(collect(&mut collector, tree.path()), (vec![], 1, 1));
        write(tree.path(), "/sys/class/hwmon/hwmon0/name", "drivetemp\n");
        write(
            tree.path(),
            "/sys/class/hwmon/hwmon0/temp1_input",
            "-5500\n",
        );
        let chip = "chip=\"drivetemp-hwmon0\"";
        assert_eq!(
            collect(&mut collector, tree.path()).0,
            [format!(
                "system.hardware.temperature{{{chip},sensor=\"temp1\"}} -5.5"
            )]
        );
        write(tree.path(), "/sys/class/hwmon/hwmon1/temp1_input", "junk\n");
        let (lines, lost, _) = collect(&mut collector, tree.path());
        assert_eq!((lines.len(), lost), (1, 1));
    }

    #[test]
    fn labels_that_repeat_stay_apart() {
        let tree = tempfile::tempdir().unwrap();
        for number in 1..3 {
            let stem = format!("/sys/class/hwmon/hwmon0/temp{number}");
            write(tree.path(), &format!("{stem}_input"), "40000\n");
            write(tree.path(), &format!("{stem}_label"), "Core\n");
        }
        let (lines, _, _) = collect(&mut Temperature::default(), tree.path());
        assert!(lines[0].contains("sensor=\"Core\""), "{lines:?}");
        assert!(lines[1].contains("sensor=\"Core (temp2)\""), "{lines:?}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            millidegrees(&text);
        }
    }
}
