"""What tests of several folders share: real servers, and waiting for conditions."""
