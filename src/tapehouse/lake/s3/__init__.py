"""A lake whose home is S3, with its tables in one database of the Glue Data Catalog.

What may live here: how the same lake is kept in objects. What a lake is and how it is published stays in `lake`.

- **Working copy.** The lake is opened as an empty folder that mirrors its keys. All other code keeps naming files by
  path; `place.OnS3` fetches what is read and stores what a lake on disk would sync. The alternative, a second
  implementation of publishing, recovery and upkeep on URIs, would have to prove every invariant again.
- **Order.** Data files, then the journal, then Iceberg's metadata, then the pointer in Glue: a reader of the catalogue
  never meets a name without its object.
- **Pointer.** One Glue table for each of the lake's (`<namespace>_<name>`), swapped with its `VersionId`: who lost a
  race is refused by Glue. That alone would not do for a run of several tables, hence the lock.
- **Lock.** One object, `lock`, taken and renewed by conditional writes, with a lease judged by S3's own clock. It names
  the journals that are decided: a decision is one conditional write by whoever holds the lease, so a writer that was
  taken for dead cannot decide anything, however late it wakes up. What it had decided before is finished by others, and
  its own attempts to do so meet the versions of Glue.
- **Tasks** of a distributed engine get the place with their job: they fetch their input by key, store what they write
  and send its Parquet footers to the driver, which touches none of the rows.
- **Landed bytes** lie under the sha256 of their content. What comes from S3 is hashed where it is read and copied by
  S3, from the very version that was hashed.
"""
