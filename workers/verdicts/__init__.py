"""From what the stages have found to the verdict, its evidence and the files of both."""
