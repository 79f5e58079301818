import axe from "axe-core";
process.stdout.write(axe.source);
