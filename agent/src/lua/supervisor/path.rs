//! What a path leads through: a change at any of these places changes what the path means.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

/// How many symbolic links one path may have, as for the kernel.
const LINKS_MAX: usize = 40;

/// A name in a directory that is itself reached without links.
pub(super) type Step = (PathBuf, OsString);

/// Every step of an absolute path, up to the first that does not exist or may not be looked at.
/// Returns what it leads to, without links.
///
/// # Errors
/// When one of them is not there or may not be looked at, which is the last of the steps then, and
/// when there are more than [`LINKS_MAX`] links.
pub(super) fn walk(path: &Path, steps: &mut Vec<Step>) -> io::Result<PathBuf> {
    let mut here = PathBuf::from("/");
    let mut rest: VecDeque<OsString> = names(path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        steps.push((here.clone(), name));
        match fs::read_link(&next) {
            Ok(target) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP.into());
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                let mut names = names(&target);
                names.append(&mut rest);
                rest = names;
            }
            // It is there, and no link.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => here = next,
            Err(error) => return Err(error),
        }
    }
    Ok(here)
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_a_step() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir(root.join("v1")).unwrap();
        fs::write(root.join("v1/a.lua"), "").unwrap();
        symlink("v1", root.join("..data")).unwrap();
        symlink("..data/a.lua", root.join("a.lua")).unwrap();
        let mut steps = Vec::new();
        let end = walk(&root.join("a.lua"), &mut steps).unwrap();
        assert_eq!(end, root.join("v1/a.lua"));
        let has = |directory: PathBuf, name: &str| steps.contains(&(directory, name.into()));
        assert!(has(
            PathBuf::from("/"),
            root.iter().nth(1).unwrap().to_str().unwrap()
        ));
        assert!(has(root.clone(), "a.lua"));
        assert!(has(root.clone(), "..data"));
        assert!(has(root.clone(), "v1"));
        assert!(has(root.join("v1"), "a.lua"));
    }

    #[test]
    fn a_path_ends_where_nothing_is_and_in_a_ring() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let mut steps = Vec::new();
        let mut kind =
            |path: &str| walk(&root.join(path), &mut steps).map_err(|error| error.kind());
        assert_eq!(kind("absent/x"), Err(io::ErrorKind::NotFound));
        assert_eq!(steps.last(), Some(&(root.clone(), "absent".into())));
        symlink("ring", root.join("ring")).unwrap();
        let mut steps = Vec::new();
        let ring = walk(&root.join("ring"), &mut steps).unwrap_err();
        assert_eq!(ring.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        assert!(walk(&root.join("x/.."), &mut steps).is_err());
        fs::create_dir(root.join("x")).unwrap();
        let end = walk(&root.join("x/../x"), &mut steps).unwrap();
        assert_eq!(end, root.join("x"));
    }
}
