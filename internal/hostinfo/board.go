// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"io/fs"
	"strings"
)

// readModel names the board or machine: the device tree's model on boards and
// phones, the firmware's vendor and product on PCs.
func readModel(root fs.FS) (string, error) {
	for _, path := range []string{"proc/device-tree/model", "sys/firmware/devicetree/base/model",
		"sys/devices/soc0/machine"} {
		if model, err := readName(root, path); err == nil {
			return model, nil
		}
	}
	if cpuinfo, err := readText(root, "proc/cpuinfo"); err == nil {
		if model, ok := field(cpuinfo, "Model"); ok && model != "" { // Raspberry Pi kernels
			return clean(model), nil
		}
	}
	vendor, _ := readName(root, "sys/class/dmi/id/sys_vendor")
	product, err := readName(root, "sys/class/dmi/id/product_name")
	return strings.TrimSpace(vendor + " " + product), err
}

// readSoC names the chip: the most general entry of the device tree's
// compatible list ("raspberrypi,4-model-b" NUL "brcm,bcm2711"), or what phone
// kernels say in /proc/cpuinfo.
func readSoC(root fs.FS) (string, error) {
	for _, path := range []string{"proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible"} {
		if list, err := readText(root, path); err == nil {
			return clean(list[strings.LastIndexByte(list, 0)+1:]), nil
		}
	}
	if soc, err := readName(root, "sys/devices/soc0/soc_id"); err == nil {
		return soc, nil
	}
	if cpuinfo, err := readText(root, "proc/cpuinfo"); err == nil {
		if soc, ok := field(cpuinfo, "Hardware"); ok && soc != "" {
			return clean(soc), nil
		}
	}
	return "", ErrNoData
}
