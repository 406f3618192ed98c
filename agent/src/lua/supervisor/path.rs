//! What a path leads through: a change at any of these places changes what the path means.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many symbolic links one path may have, as for the kernel.
const LINKS_MAX: usize = 40;

/// A name in a directory that is itself reached without links.
pub(super) type Step = (PathBuf, OsString);

/// Every step of an absolute path, up to the first that does not exist. Returns what it leads to,
/// without links, when all of them do.
pub(super) fn walk(path: &Path, steps: &mut Vec<Step>) -> Option<PathBuf> {
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
                    return None;
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
            Err(_) => return None,
        }
    }
    Some(here)
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
        let end = walk(&root.join("a.lua"), &mut steps);
        assert_eq!(end, Some(root.join("v1/a.lua")));
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
        assert_eq!(walk(&root.join("absent/x"), &mut steps), None);
        assert_eq!(steps.last(), Some(&(root.clone(), "absent".into())));
        symlink("ring", root.join("ring")).unwrap();
        assert_eq!(walk(&root.join("ring"), &mut steps), None);
        assert_eq!(walk(&root.join("x/.."), &mut steps), None);
        fs::create_dir(root.join("x")).unwrap();
        assert_eq!(walk(&root.join("x/../x"), &mut steps), Some(root.join("x")));
    }
}
