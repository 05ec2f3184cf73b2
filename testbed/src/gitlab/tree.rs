//! Groups and projects: ids, full paths, and what a lookup by path finds after a rename or a move.

use std::collections::BTreeMap;

/// A group's numeric id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

/// A project's numeric id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(pub u64);

/// Where variables live and roles are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Container {
    /// A group.
    Group(GroupId),
    /// A project.
    Project(ProjectId),
}

impl From<GroupId> for Container {
    fn from(id: GroupId) -> Self {
        Self::Group(id)
    }
}

impl From<ProjectId> for Container {
    fn from(id: ProjectId) -> Self {
        Self::Project(id)
    }
}

/// What a lookup by the `:id` of a path came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Here(Container),
    /// The path is a former one of a project. Groups leave no redirect behind.
    MovedProject(ProjectId),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) path: String,
    pub(super) parent: Option<GroupId>,
}

/// All groups and projects.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<Container, Node>,
    /// Former full paths of projects.
    redirects: BTreeMap<String, ProjectId>,
}

/// Groups count from 11 and projects from 501, so that one taken for the other is noticed.
const FIRST_GROUP: u64 = 11;
const FIRST_PROJECT: u64 = 501;

impl Tree {
    pub(super) fn add_group(&mut self, path: &str) -> GroupId {
        if let Some(Container::Group(id)) = self.at_path(path, is_group) {
            return id;
        }
        let parent = path.rsplit_once('/').map(|(parent, _)| self.add_group(parent));
        let id = GroupId(FIRST_GROUP + self.count(is_group));
        self.nodes.insert(
            Container::Group(id),
            Node {
                path: path.to_owned(),
                parent,
            },
        );
        id
    }

    pub(super) fn add_project(&mut self, path: &str) -> ProjectId {
        if let Some(Container::Project(id)) = self.at_path(path, is_project) {
            return id;
        }
        let parent = path.rsplit_once('/').map(|(parent, _)| self.add_group(parent));
        let id = ProjectId(FIRST_PROJECT + self.count(is_project));
        self.nodes.insert(
            Container::Project(id),
            Node {
                path: path.to_owned(),
                parent,
            },
        );
        self.redirects.remove(path);
        id
    }

    pub(super) fn get(&self, container: Container) -> Option<&Node> {
        self.nodes.get(&container)
    }

    /// Gives a group or project a new full path, and everything below it. Projects leave a redirect.
    pub(super) fn relocate(&mut self, container: Container, path: &str) {
        let Some(old) = self.nodes.get(&container).map(|node| node.path.clone()) else {
            return;
        };
        let parent = path.rsplit_once('/').map(|(parent, _)| self.add_group(parent));
        if let Some(node) = self.nodes.get_mut(&container) {
            node.parent = parent;
        }
        let below = format!("{old}/");
        for (id, node) in &mut self.nodes {
            let moved = if *id == container {
                path.to_owned()
            } else if is_group(container) && node.path.starts_with(&below) {
                node.path.replacen(&old, path, 1)
            } else {
                continue;
            };
            self.redirects.remove(&moved);
            let former = std::mem::replace(&mut node.path, moved);
            if let Container::Project(id) = id {
                self.redirects.insert(former, *id);
            }
        }
    }

    /// Looks up the decoded `:id`: a run of digits, with or without a minus, is always taken for a numeric id.
    pub(super) fn find_group(&self, id: &str) -> Found {
        let container = match as_number(id) {
            Some(Some(number)) => Some(Container::Group(GroupId(number))),
            Some(None) => None,
            None => self.at_path(id, is_group),
        };
        self.found(container)
    }

    /// Like [`Self::find_group`], except that a path without a slash finds nothing and redirects are followed.
    pub(super) fn find_project(&self, id: &str) -> Found {
        match as_number(id) {
            Some(Some(number)) => self.found(Some(Container::Project(ProjectId(number)))),
            Some(None) => Found::Nothing,
            None if !id.contains('/') => Found::Nothing,
            None => match self.at_path(id, is_project) {
                Some(container) => Found::Here(container),
                None => self
                    .redirects
                    .get(id)
                    .map_or(Found::Nothing, |to| Found::MovedProject(*to)),
            },
        }
    }

    /// The container itself, then the groups above it, nearest first.
    pub(super) fn lineage(&self, container: Container) -> Vec<Container> {
        let mut line = Vec::new();
        let mut next = Some(container);
        while let Some(current) = next {
            line.push(current);
            next = self
                .get(current)
                .and_then(|node| node.parent)
                .map(Container::Group);
        }
        line
    }

    fn found(&self, container: Option<Container>) -> Found {
        container
            .filter(|id| self.nodes.contains_key(id))
            .map_or(Found::Nothing, Found::Here)
    }

    fn at_path(&self, path: &str, kind: fn(Container) -> bool) -> Option<Container> {
        self.nodes
            .iter()
            .find(|(id, node)| kind(**id) && node.path == path)
            .map(|(id, _)| *id)
    }

    fn count(&self, kind: fn(Container) -> bool) -> u64 {
        self.nodes.keys().filter(|id| kind(**id)).count() as u64
    }
}

fn is_group(container: Container) -> bool {
    matches!(container, Container::Group(_))
}

fn is_project(container: Container) -> bool {
    matches!(container, Container::Project(_))
}

/// `Some(Some(id))` for an id, `Some(None)` for a number that can't be one, `None` for a path.
fn as_number(id: &str) -> Option<Option<u64>> {
    let digits = id.strip_prefix('-').unwrap_or(id);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| id.parse().ok())
}
