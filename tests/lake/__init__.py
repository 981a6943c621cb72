"""Tests of the lake, on real files and real processes."""
