"""Tests of the deployer, over an emulator."""
