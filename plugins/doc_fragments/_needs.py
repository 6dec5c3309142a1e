# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be needed of a host.

This doc fragment is private to the collection.
"""

from __future__ import annotations


class ModuleDocFragment:
    """The argument spec is in module_utils/_preflight_needs.py."""

    DOCUMENTATION = r"""
options:
  needs:
    description: Filled in on the controller from O(plan).
    type: dict
    suboptions:
      ports:
        description: Ports to listen on, each with the unit that shall.
        type: list
        elements: dict
        default: []
        suboptions:
          port:
            description: The TCP port.
            type: int
            required: true
          unit:
            description: The unit that shall listen on it.
            type: str
            required: true
          address:
            description: The address that it listens on.
            type: str
            default: 127.0.0.1
          variable:
            description: The variable that it comes from.
            type: str
            required: true
      files:
        description: Files that have to be there.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The file.
            type: str
            required: true
          variable:
            description: The variable that names it.
            type: str
            required: true
          executable:
            description: Whether it is a program.
            type: bool
            default: false
          reader:
            description: The account that has to be able to read it.
            type: str
          reading:
            description:
              - How it reads it, V(service) as a unit of the system in the workers' group,
                V(account) with the account's own groups, and V(container) inside of a container,
                where an account has its primary group alone.
            type: str
            choices: [service, account, container]
            default: service
      accounts:
        description: Accounts that have to be there.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The account.
            type: str
          variable:
            description: The variable that names it.
            type: str
            required: true
          container:
            description: How the account is declared, where it runs containers.
            type: dict
      devices:
        description: Devices that workers want.
        type: list
        elements: dict
        default: []
        suboptions:
          device:
            description: A CDI name or a device node.
            type: str
            required: true
          variable:
            description: The variable that names it.
            type: str
            required: true
      podman:
        description: Who needs Podman with Quadlet.
        type: list
        elements: dict
        default: []
        suboptions:
          variable:
            description: The variable that wants it.
            type: str
            required: true
      pythons:
        description: Interpreters to run the router with, or to fetch weights with.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The interpreter; the newest that is found unless given.
            type: path
          purpose:
            description: What wants it, in words.
            type: str
          account:
            description: The account that owns the cache.
            type: str
          hub:
            description: Where the cache has its repositories.
            type: str
          bundles:
            description: Directories with more of them.
            type: list
            elements: str
            default: []
          items:
            description: Weights; when all of them are there, no interpreter is wanted.
            type: list
            elements: dict
            default: []
          variable:
            description: The variable that names it.
            type: str
            required: true
      copies:
        description: Copies of what the edges of other hosts gave this one.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The file.
            type: str
            required: true
          variable:
            description: The edge's host.
            type: str
            required: true
      archives:
        description: Archives that images are loaded from.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The archive.
            type: str
            required: true
          image:
            description: The image with its tag or digest.
            type: str
            required: true
          variable:
            description: The variable that names it.
            type: str
            required: true
      downloads:
        description: What has to be fetched, unless it is on the host already.
        type: list
        elements: dict
        default: []
        suboptions:
          kind:
            description: What it is.
            type: str
            choices: [image, repository]
            required: true
          what:
            description: The image's reference, or the repository of the hub.
            type: str
            required: true
          where:
            description: The registry, or the hub's address.
            type: str
            required: true
          instead:
            description: What to write where it cannot be fetched.
            type: str
            required: true
          account:
            description: The account that has an image.
            type: str
          places:
            description: Directories of which one has something in it where a repository is there.
            type: list
            elements: str
            default: []
          proxy:
            description: The worker's own proxy, without credentials.
            type: str
            default: ''
          variable:
            description: The variable that names it.
            type: str
            required: true
      directories:
        description: Directories whose free space is told.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The directory, which need not be there yet.
            type: str
            required: true
          variable:
            description: The variable that names it.
            type: str
            required: true
      models:
        description: Models of which the host may have the configuration.
        type: list
        elements: dict
        default: []
        suboptions:
          model:
            description: A repository of the Hugging Face hub, or a path.
            type: str
            required: true
          caches:
            description: Directories with repositories, in the layout of the hub's cache.
            type: list
            elements: str
            required: true
          revision:
            description: The repository's branch, tag or commit.
            type: str
            default: main
          variable:
            description: The variable that declares it.
            type: str
            required: true
"""
