"""What comes in the box: plugins like any other, registered through the same hooks. They use api, chain and exact."""
