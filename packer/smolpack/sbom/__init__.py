"""The software bill of materials: package databases of a root become a CycloneDX document."""
